"""Ids that follow from content."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from jml.identity import event_id, person_key

GUIDS = st.uuids().map(str)
TENANT = "11111111-1111-4111-8111-111111111111"


@given(GUIDS, GUIDS)
def test_a_persons_key_fits_into_employee_id_and_is_the_same_each_time(tenant: str, person: str) -> None:
    key = person_key(tenant, person)
    assert re.fullmatch(r"[a-z2-7]{16}", key)
    assert key == person_key(tenant, person) == person_key(tenant.upper(), person.upper())


@given(st.sets(st.tuples(GUIDS, GUIDS), min_size=2, max_size=50))
def test_different_people_have_different_keys(people: set[tuple[str, str]]) -> None:
    assert len({person_key(*one) for one in people}) == len(people)


def test_the_key_of_a_known_person_never_changes() -> None:
    """Accounts carry it: a change of the rule would orphan every one of them."""
    assert person_key(TENANT, "22222222-2222-4222-8222-222222222222") == "hve6zemlto2rpuqz"


@given(GUIDS)
def test_a_key_tells_nothing_of_the_id_it_is_made_from(person: str) -> None:
    assert person[:8] not in person_key(TENANT, person)


INSTANT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_one_event_for_one_person_instant_and_revision() -> None:
    same = event_id("jml.leaver", TENANT, "p", INSTANT.astimezone(timezone(timedelta(hours=5))), 1)
    others = {
        event_id("jml.joiner", TENANT, "p", INSTANT, 1),
        event_id("jml.leaver", "other", "p", INSTANT, 1),
        event_id("jml.leaver", TENANT, "q", INSTANT, 1),
        event_id("jml.leaver", TENANT, "p", INSTANT + timedelta(microseconds=1), 1),
        event_id("jml.leaver", TENANT, "p", INSTANT, 2),
    }
    assert event_id("jml.leaver", TENANT, "p", INSTANT, 1) == same
    assert len(others | {same}) == 6
