"""What HR wrote, as an instant."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jml.leavedate import EARLIEST, DateRule, UnreadableDate, add, local_instant, read_leave_date
from shared.clock import to_text

ZURICH = ZoneInfo("Europe/Zurich")


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026-03-31T22:00:00Z", "2026-03-31T22:00:00.000000Z"),
        ("2026-04-01T00:00:00+02:00", "2026-03-31T22:00:00.000000Z"),
        ("2026-03-31T16:30:00-05:30", "2026-03-31T22:00:00.000000Z"),
        ("2026-03-31T22:00:00.1234567Z", "2026-03-31T22:00:00.123456Z"),
        ("1900-01-01T00:00:00Z", "1900-01-01T00:00:00.000000Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000000Z"),
    ],
)
def test_a_leave_date_is_the_instant_that_is_written(written: str, instant: str) -> None:
    found = read_leave_date(written, None)
    assert (to_text(found.instant), found.written, found.zone) == (instant, written, "UTC")


@pytest.mark.parametrize(
    "written",
    [
        "0001-01-01T00:00:00Z",  # what an empty field of an HR system becomes
        "0001-01-01T00:00:00+14:00",  # before the first instant there is
        "9999-12-31T23:59:59-14:00",  # after the last one
        "1899-12-31T23:59:59Z",
        "2026-03-31T22:00:00",
        "2026-03-31",
        "31.03.2026",
        "2026-02-30T00:00:00Z",
        "",
        "null",
        "2026-03-31T22:00:00Z; DROP TABLE people",
        "\N{SNOWMAN}",
    ],
)
def test_what_is_no_instant_with_a_zone_is_unreadable_and_is_named(written: str) -> None:
    with pytest.raises(UnreadableDate, match="employeeLeaveDateTime"):
        read_leave_date(written, None)


@given(st.text(max_size=40))
def test_no_text_makes_another_error_than_unreadable(written: str) -> None:
    for rule in (None, DateRule(time(18), ZURICH)):
        try:
            found = read_leave_date(written, rule)
        except UnreadableDate:
            continue
        assert found.instant >= EARLIEST


@given(st.datetimes(min_value=datetime(1900, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.timezones()))  # noqa: DTZ001
def test_a_readable_instant_means_the_same_in_every_zone(instant: datetime) -> None:
    written = instant.astimezone(UTC).isoformat()
    assert read_leave_date(written, None).instant == instant.astimezone(UTC)


@pytest.mark.parametrize(
    ("day", "at", "instant"),
    [
        (date(2026, 1, 31), time(18), "2026-01-31T17:00:00.000000Z"),
        (date(2026, 7, 31), time(18), "2026-07-31T16:00:00.000000Z"),
        # the clocks skip 02:00 to 03:00: a time that does not exist counts as the later one
        (date(2026, 3, 29), time(2, 30), "2026-03-29T01:30:00.000000Z"),
        (date(2026, 3, 29), time(1, 59), "2026-03-29T00:59:00.000000Z"),
        (date(2026, 3, 29), time(3, 0), "2026-03-29T01:00:00.000000Z"),
        # the clocks show 02:00 to 03:00 twice: an ambiguous time counts as the earlier one
        (date(2026, 10, 25), time(2, 30), "2026-10-25T00:30:00.000000Z"),
        (date(2026, 10, 25), time(3, 0), "2026-10-25T02:00:00.000000Z"),
    ],
)
def test_a_day_ends_at_the_rules_time_on_the_rules_clocks(day: date, at: time, instant: str) -> None:
    assert to_text(local_instant(day, DateRule(at, ZURICH))) == instant


def test_by_the_rule_only_the_day_that_is_written_counts() -> None:
    """HR's midnight, wherever it was, is a day: what zone the text names does not move it."""
    rule = DateRule(time(18), ZURICH)
    for written in ("2026-07-31", "2026-07-31T00:00:00Z", "2026-07-31T23:00:00-11:00"):
        assert to_text(read_leave_date(written, rule).instant) == "2026-07-31T16:00:00.000000Z"
        assert read_leave_date(written, rule).zone == "Europe/Zurich"


@pytest.mark.parametrize("written", ["0001-01-01", "0001-01-01T00:00:00Z"])
def test_by_the_rule_too_the_year_one_is_no_leave_date(written: str) -> None:
    with pytest.raises(UnreadableDate):
        read_leave_date(written, DateRule(time(18), ZURICH))


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Niue"])
def test_the_last_day_there_is_is_readable_or_unreadable_and_nothing_else(zone: str) -> None:
    rule = DateRule(time(23, 59), ZoneInfo(zone))
    try:
        assert read_leave_date("9999-12-31", rule).instant.year >= 9999
    except UnreadableDate:
        assert zone == "Pacific/Niue"


@given(
    st.dates(min_value=date(1971, 1, 1), max_value=date(2100, 1, 1)),
    st.times(),
    st.sampled_from(["Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Santiago"]),
)
def test_a_local_time_that_exists_is_shown_by_the_clocks_at_its_instant(day: date, at: time, zone: str) -> None:
    instant = local_instant(day, DateRule(at, ZoneInfo(zone)))
    shown = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    wall = datetime.combine(day, at)
    assert shown == wall or timedelta(0) < shown - wall <= timedelta(hours=1)


def test_a_period_after_the_last_instant_is_the_last_instant() -> None:
    late = datetime(9999, 12, 31, tzinfo=UTC)
    assert add(late, timedelta(days=30)) == datetime.max.replace(tzinfo=UTC)
    assert add(late, timedelta(hours=1)) == late + timedelta(hours=1)
