"""Whose account is it: link table and employeeId must agree."""

from __future__ import annotations

import pytest

from jml.accounts import Account
from jml.correlation import Stopped, correlate
from shared.plan import RunOutcome


def accounts(*ids: str) -> dict[str, Account]:
    return {one: Account(one, enabled=True) for one in ids}


@pytest.mark.parametrize(
    ("linked", "by_link", "by_key", "found"),
    [
        ("a", "a", "a", "a"),
        ("ab", "ab", "ab", "ab"),
        ("ab", "a", "a", "a"),  # one of the linked accounts is gone
        ("a", "", "", ""),  # all of them are
        ("", "", "a", "a"),  # the table was lost: the key alone decides
    ],
)
def test_accounts_that_both_name_are_the_persons(linked: str, by_link: str, by_key: str, found: str) -> None:
    assert correlate(frozenset(linked), accounts(*by_link), accounts(*by_key), 3).keys() == set(found)


@pytest.mark.parametrize(
    ("linked", "by_link", "by_key"),
    [("a", "a", ""), ("a", "a", "b"), ("a", "a", "ab"), ("ab", "ab", "a"), ("a", "", "b")],
)
def test_a_disagreement_blocks_and_names_both_sides(linked: str, by_link: str, by_key: str) -> None:
    with pytest.raises(Stopped, match="make them agree") as stopped:
        correlate(frozenset(linked), accounts(*by_link), accounts(*by_key), 3)
    assert stopped.value.outcome is RunOutcome.BLOCKED


def test_somebody_without_any_account_is_left_alone() -> None:
    with pytest.raises(Stopped) as stopped:
        correlate(frozenset(), {}, {}, 3)
    assert stopped.value.outcome is RunOutcome.LEFT_ALONE


def test_more_accounts_than_one_person_can_have_block() -> None:
    with pytest.raises(Stopped, match="4 accounts of one person") as stopped:
        correlate(frozenset(), {}, accounts(*"abcd"), 3)
    assert stopped.value.outcome is RunOutcome.BLOCKED
