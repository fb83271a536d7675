"""Whether somebody leaves: the one rule that the sweep and every run share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from jml.leavedate import DateRule
from jml.people import Cause, Leaving, Person, Presence, Staying, Unknown, canary_sings, judge, read_person

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
PAST, FUTURE = "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"
SOC = {"department": "SOC"}


@dataclass(frozen=True)
class Rules:
    causes: frozenset[Cause] = frozenset({Cause.DISABLED, Cause.OUT_OF_SCOPE})
    date_rule: DateRule | None = None

    def in_scope(self, attributes: Mapping[str, str]) -> bool:
        return attributes.get("department") == "SOC"


def verdict(rules: Rules | None = None, *, nulls_mean_none: bool = True, **facts: Any) -> Any:
    person = Person(**{"id": "p", "attributes": SOC, **facts})
    return judge(person, rules or Rules(), nulls_mean_none=nulls_mean_none, now=NOW)


def cause_of(found: Any) -> Cause:
    assert isinstance(found, Leaving)
    return found.cause


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        ({"written": PAST}, Cause.DATE),
        ({"written": FUTURE}, Cause.DATE),
        ({"enabled": False}, Cause.DISABLED),
        ({"attributes": {"department": "Retail"}}, Cause.OUT_OF_SCOPE),
        ({"attributes": None}, Cause.OUT_OF_SCOPE),
        ({"presence": Presence.DELETED}, Cause.DELETED),
        ({"presence": Presence.GONE}, Cause.DELETED),
        # what has happened comes before what is to come
        ({"written": FUTURE, "enabled": False}, Cause.DISABLED),
        ({"written": FUTURE, "attributes": {}}, Cause.OUT_OF_SCOPE),
        # and of what has happened, what says since when
        ({"written": PAST, "enabled": False}, Cause.DATE),
        ({"written": PAST, "attributes": {}}, Cause.DATE),
        ({"written": PAST, "presence": Presence.DELETED, "deleted_at": NOW}, Cause.DELETED),
    ],
)
def test_the_cause_of_leaving(facts: dict[str, Any], cause: Cause) -> None:
    assert cause_of(verdict(**facts)) is cause


def test_a_leave_date_is_passed_at_its_very_instant() -> None:
    found = verdict(written="2026-03-02T09:00:00Z", enabled=False)
    assert cause_of(found) is Cause.DATE


def test_only_causes_that_the_policy_names_end_an_account() -> None:
    nothing = Rules(causes=frozenset())
    assert verdict(nothing, enabled=False, attributes={}) == Staying()
    assert cause_of(verdict(nothing, presence=Presence.GONE)) is Cause.DELETED


def test_a_null_date_is_a_cleared_one_only_while_the_canary_sings() -> None:
    assert verdict(nulls_mean_none=True) == Staying()
    assert isinstance(verdict(nulls_mean_none=False), Unknown)


def test_what_is_not_about_dates_needs_no_canary() -> None:
    assert cause_of(verdict(nulls_mean_none=False, enabled=False)) is Cause.DISABLED


def test_a_date_that_cannot_be_read_makes_the_person_unknown() -> None:
    assert isinstance(verdict(written="0001-01-01T00:00:00Z"), Unknown)


def test_a_date_that_cannot_be_read_does_not_hide_that_the_person_is_disabled() -> None:
    assert cause_of(verdict(written="0001-01-01T00:00:00Z", enabled=False)) is Cause.DISABLED


def test_a_deleted_person_needs_no_readable_date() -> None:
    assert cause_of(verdict(presence=Presence.DELETED, written="garbage")) is Cause.DELETED


@pytest.mark.parametrize(
    ("written", "sings"),
    [
        ("2099-12-31T00:00:00Z", True),
        ("2099-12-31T01:00:00+01:00", True),
        ("2099-12-30T00:00:00Z", False),
        ("2099-12-31", False),
        (None, False),
    ],
)
def test_the_canary_sings_when_its_known_date_was_read(written: str | None, *, sings: bool) -> None:
    known = datetime(2099, 12, 31, tzinfo=UTC)
    others = [Person("a", written=PAST), Person("b")]
    assert canary_sings([*others, Person("canary", written=written)], "canary", known) is sings
    assert canary_sings(others, "canary", known) is False
    assert canary_sings([Person("canary", written=written)], None, None) is False


def test_of_a_person_no_more_is_kept_than_what_decides() -> None:
    person = read_person({"id": "p", "displayName": "Alex", "department": "SOC", "jobTitle": None})
    assert person == Person("p", attributes={"department": "SOC"})
    assert "Alex" not in repr(person)
