"""The schedule's row of a person, and what an observation makes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jml.people import Cause, Leaving, Staying, Unknown, Verdict
from jml.schedule import Offboarding, State, after_run, is_due, observe, raise_again, release

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def leaving(days: int) -> Leaving:
    return Leaving(Cause.DATE, NOW + days * DAY, f"day {days}")


def row_of(verdict: Verdict, row: Offboarding | None = None) -> Offboarding:
    found = observe(row, "p", verdict, NOW)
    assert found is not None
    return found


def test_set_cleared_and_set_to_the_same_day_are_three_revisions() -> None:
    first = row_of(leaving(3))
    cleared = row_of(Staying(), first)
    again = row_of(leaving(3), cleared)
    assert [row.revision for row in (first, cleared, again)] == [1, 2, 3]
    assert [row.state for row in (first, cleared, again)] == [State.SCHEDULED, State.CLEARED, State.SCHEDULED]


@given(st.sampled_from(State))
def test_what_is_unknown_changes_nothing(state: State) -> None:
    row = Offboarding("p", 3, state, NOW, NOW, Cause.DATE)
    assert observe(row, "p", Unknown("null"), NOW) is None
    assert observe(None, "p", Unknown("null"), NOW) is None


def test_somebody_who_stays_and_never_was_to_leave_gets_no_row() -> None:
    assert observe(None, "p", Staying(), NOW) is None


def test_the_same_observation_twice_changes_nothing() -> None:
    row = row_of(leaving(3))
    assert observe(row, "p", leaving(3), NOW) is None
    cleared = row_of(Staying(), row)
    assert observe(cleared, "p", Staying(), NOW) is None


def test_a_cause_without_an_instant_counts_from_when_it_was_first_seen() -> None:
    row = row_of(Leaving(Cause.DISABLED, None))
    assert row.due == row.effective == NOW
    assert observe(row, "p", Leaving(Cause.DISABLED, None), NOW + DAY) is None


@pytest.mark.parametrize("state", [State.RELEASED, State.RETAINED, State.DONE])
def test_somebody_who_has_left_leaves_no_second_time(state: State) -> None:
    """HR deletes people after they left, and corrects days that have passed: that is no new leaving."""
    row = Offboarding("p", 1, state, NOW, NOW - DAY, Cause.DATE)
    for seen in (Leaving(Cause.DELETED, NOW), leaving(-5), leaving(0)):
        assert observe(row, "p", seen, NOW) is None


@pytest.mark.parametrize("state", [State.RELEASED, State.RETAINED, State.DONE])
def test_a_new_day_to_come_after_the_event_was_sent_is_a_new_leaving(state: State) -> None:
    row = Offboarding("p", 1, state, NOW, NOW - DAY, Cause.DATE)
    assert row_of(leaving(9), row).state is State.SCHEDULED


VERDICTS = st.one_of(
    st.builds(leaving, st.integers(min_value=-3, max_value=3)),
    st.just(Staying()),
    st.just(Unknown("null")),
    st.just(Leaving(Cause.DISABLED, None)),
    st.builds(lambda days: Leaving(Cause.DELETED, NOW + days * DAY), st.integers(min_value=-3, max_value=0)),
)
MOVES = st.lists(st.one_of(VERDICTS, st.sampled_from(["release", "done", "retain", "backlog"])), max_size=25)


@given(MOVES)
def test_the_revision_never_falls_and_rises_with_every_observed_change(moves: list[Verdict | str]) -> None:
    row: Offboarding | None = None
    for hours, move in enumerate(moves):
        now = NOW + timedelta(hours=hours)
        if isinstance(move, str):
            row = _moved(row, move, now)
            continue
        seen = observe(row, "p", move, now)
        if seen is None:
            continue
        assert seen.revision == (row.revision if row else 0) + 1
        assert seen.state in (State.SCHEDULED, State.CLEARED)
        row = seen


def _moved(row: Offboarding | None, move: str, now: datetime) -> Offboarding | None:
    if row is None:
        return None
    if move == "release":
        return release(row, now) if is_due(row, now) else row
    if move == "backlog":
        again = raise_again(row, NOW) if row.state in (State.RELEASED, State.RETAINED, State.DONE) else row
        assert again.revision >= row.revision
        return again
    after = after_run(row, row.revision, now + 30 * DAY if move == "retain" else None)
    assert after is None or after.revision == row.revision
    return after or row


def test_a_row_is_due_from_its_instant_on_until_it_is_sent() -> None:
    row = row_of(leaving(0))
    assert is_due(row, NOW)
    assert not is_due(row, NOW - timedelta(microseconds=1))
    assert not is_due(release(row, NOW), NOW)
    assert not is_due(row_of(Staying(), row), NOW)


def test_a_retained_row_is_due_when_its_retention_is_over() -> None:
    kept = after_run(release(row_of(leaving(0)), NOW), 1, NOW + 30 * DAY)
    assert kept is not None
    assert not is_due(kept, NOW + 29 * DAY)
    assert is_due(kept, NOW + 30 * DAY)
    assert kept.effective == NOW


@pytest.mark.parametrize(("revision", "state"), [(2, State.RELEASED), (1, State.CLEARED)])
def test_a_run_says_nothing_of_a_row_that_has_changed_since(revision: int, state: State) -> None:
    row = Offboarding("p", revision, state, NOW, NOW, Cause.DATE)
    assert after_run(row, 1, None) is None
    assert after_run(row, 1, NOW + DAY) is None


def test_a_run_may_end_before_its_row_says_that_the_event_was_sent() -> None:
    row = Offboarding("p", 1, State.SCHEDULED, NOW, NOW, Cause.DATE)
    ended = after_run(row, 1, NOW + DAY)
    assert ended is not None
    assert ended.state is State.RETAINED


def test_a_backlog_finding_is_a_revision_of_its_own_and_due_at_once() -> None:
    kept = after_run(release(row_of(leaving(-1)), NOW), 1, NOW + 30 * DAY)
    assert kept is not None
    again = raise_again(kept, NOW)
    assert (again.revision, again.state) == (2, State.SCHEDULED)
    assert is_due(again, NOW)
