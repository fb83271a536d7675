"""A person as the corporate tenant shows them, and whether they leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from jml.leavedate import DateRule, LeaveDate, UnreadableDate, read_leave_date
from shared.clock import from_text

PERSON_FIELDS = ("id", "accountEnabled", "employeeLeaveDateTime", "department", "jobTitle", "companyName")
"""What is read of a person, and no more."""


class Presence(StrEnum):
    """Where the corporate tenant has the person."""

    PRESENT = "present"
    DELETED = "deleted"
    GONE = "gone"
    UNREAD = "unread"
    """Not among the users, and nothing says why."""


@dataclass(frozen=True)
class Person:
    """What was read of one person. `written`: the leave date as it stands there (None: null)."""

    id: str
    presence: Presence = Presence.PRESENT
    enabled: bool = True
    written: str | None = None
    attributes: Mapping[str, str] | None = None
    deleted_at: datetime | None = None


class Cause(StrEnum):
    """Why a person leaves. TERMINATION: by an order, which is its own truth until it is revoked."""

    TERMINATION = "termination"
    DATE = "leave date"
    DELETED = "deleted"
    DISABLED = "disabled"
    OUT_OF_SCOPE = "out of scope"


class Rules(Protocol):
    """The parts of the policy that decide who leaves, and when."""

    @property
    def date_rule(self) -> DateRule | None: ...

    @property
    def causes(self) -> frozenset[Cause]:
        """What ends an account beside the date and deletion."""
        ...

    def in_scope(self, attributes: Mapping[str, str]) -> bool: ...


@dataclass(frozen=True)
class Leaving:
    """The person leaves, or will: since `instant` (None: from when it was first seen)."""

    cause: Cause
    instant: datetime | None
    written: str = ""
    zone: str = "UTC"


@dataclass(frozen=True)
class Staying:
    """The directory was read, and says nothing of leaving."""


@dataclass(frozen=True)
class Unknown:
    """What was read cannot be trusted to mean anything; nothing is decided from it."""

    reason: str


Verdict = Leaving | Staying | Unknown


def ordered(since: datetime) -> Leaving:
    """The verdict of an order, whatever the directory says."""
    return Leaving(Cause.TERMINATION, since)


def judge(person: Person, rules: Rules, *, nulls_mean_none: bool, now: datetime) -> Verdict:
    """Whether and since when this person leaves: the one rule that the sweep and every run share.

    What has already happened comes before what is to come, and the earliest instant before later ones. A null date
    counts as «no date» only where `nulls_mean_none`: a canary's known date was readable in the same reading.
    """
    if person.presence is Presence.UNREAD:
        return Unknown("the person is not among the users, and whether they were deleted cannot be read")
    if person.presence is not Presence.PRESENT:
        return Leaving(Cause.DELETED, person.deleted_at)
    date = _date_of(person, rules)
    if isinstance(date, LeaveDate) and date.instant <= now:
        return _by_date(date)
    if not person.enabled and Cause.DISABLED in rules.causes:
        return Leaving(Cause.DISABLED, None)
    if Cause.OUT_OF_SCOPE in rules.causes and not rules.in_scope(person.attributes or {}):
        return Leaving(Cause.OUT_OF_SCOPE, None)
    match date:
        case LeaveDate():
            return _by_date(date)
        case Unknown():
            return date
        case None if nulls_mean_none:
            return Staying()
        case None:
            return Unknown("employeeLeaveDateTime is null, and no canary shows that null means none")


def _date_of(person: Person, rules: Rules) -> LeaveDate | Unknown | None:
    try:
        return None if person.written is None else read_leave_date(person.written, rules.date_rule)
    except UnreadableDate as error:
        return Unknown(str(error))


def _by_date(date: LeaveDate) -> Leaving:
    return Leaving(Cause.DATE, date.instant, date.written, date.zone)


def read_person(document: Mapping[str, Any]) -> Person:
    """A Graph user, as selected by PERSON_FIELDS."""
    written = document.get("employeeLeaveDateTime")
    return Person(
        id=str(document["id"]),
        enabled=document.get("accountEnabled") is not False,
        written=None if written is None else str(written),
        attributes={name: str(document[name]) for name in PERSON_FIELDS[3:] if document.get(name) is not None},
    )


def canary_sings(people: Sequence[Person], canary: str | None, leave_date: datetime | None) -> bool:
    """Whether the canary's known leave date was readable among `people`, so that a null means none."""
    for person in people:
        if person.id == canary and person.written is not None and leave_date is not None:
            try:
                return from_text(person.written) == leave_date
            except ValueError:
                return False
    return False
