"""When somebody leaves: what HR wrote, as an instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.clock import from_text

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
"""Nobody left before: an older date is what a program writes for «none», and is not a date to act on."""


class UnreadableDate(ValueError):
    """The value is no leave date; the message says what it is and what was expected."""


@dataclass(frozen=True)
class DateRule:
    """HR's dates are days, not instants: access ends on that day at `at`, on the clocks of `zone`."""

    at: time
    zone: ZoneInfo


@dataclass(frozen=True)
class LeaveDate:
    """An instant (UTC), what was written in the directory, and the zone it was read in."""

    instant: datetime
    written: str
    zone: str


def read_leave_date(written: str, rule: DateRule | None) -> LeaveDate:
    """The instant that `employeeLeaveDateTime` means: itself, or by `rule` the day it names.

    Raises UnreadableDate for what is no ISO 8601 instant, has no zone where none is given by the rule, is older than
    1900 (the year 1 is an empty field of some HR systems) or does not exist in UTC.
    """
    try:
        if rule is None:
            instant, zone = from_text(written), "UTC"
        else:
            instant, zone = local_instant(datetime.fromisoformat(written).date(), rule), rule.zone.key
    except (ValueError, OverflowError) as error:
        raise UnreadableDate(f"employeeLeaveDateTime {written!r} is no instant with a zone: {error}") from error
    if instant < EARLIEST:
        raise UnreadableDate(f"employeeLeaveDateTime {written!r} is before 1900: an empty field, not a leave date")
    return LeaveDate(instant, written, zone)


def local_instant(day: date, rule: DateRule) -> datetime:
    """The rule's time on that day, in UTC: the earlier one where clocks show it twice, the later where they skip it."""
    wall = datetime.combine(day, rule.at)
    first, second = (wall.replace(tzinfo=rule.zone, fold=fold) for fold in (0, 1))
    skipped = first.utcoffset() != second.utcoffset() and _shown(first) != wall
    return (max if skipped else min)(first.astimezone(UTC), second.astimezone(UTC))


def _shown(instant: datetime) -> datetime:
    """What the zone's clocks show at that instant."""
    return instant.astimezone(UTC).astimezone(instant.tzinfo).replace(tzinfo=None)


def add(instant: datetime, period: timedelta) -> datetime:
    """`instant` plus `period`, or the last instant there is: a date of the year 9999 is far away, not an error."""
    try:
        return instant + period
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)
