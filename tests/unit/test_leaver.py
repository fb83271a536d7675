"""The leaver's plan: a pure function of snapshot, policy and time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jml.accounts import Account, Administrators, Holdings, Snapshot
from jml.leaver import MARK, Terms, kept_until, observe, plan_leaver, protect
from jml.people import Cause, Leaving
from jml.policy import Policy
from jml.steps import (
    DeleteAccount,
    DisableAccount,
    EndPackage,
    LeaveGroup,
    LeaverStep,
    MarkAccount,
    Removal,
    RemoveAppRole,
    RevokeSessions,
)
from shared.clock import to_text
from shared.plan import Finding, Plan, Result
from tests.unit.test_requests import STEPS

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)
POLICY = Policy.model_validate(
    {
        "version": 1,
        "scope": [{"department": ["SOC"]}],
        "leaver": {"retention": {"period": "P30D"}},
        "protected": {"accounts": ["00000000-0000-4000-8000-0000000b4ea6"]},
    }
)
GLASS = "00000000-0000-4000-8000-0000000b4ea6"
TERMS = Terms(NOW, POLICY, NOW, NOW)
LEAVING = Leaving(Cause.DATE, NOW - DAY)
ATTRIBUTE = "extensionAttribute15"


def snapshot(*accounts: Account, **facts: Any) -> Snapshot:
    return Snapshot(LEAVING, {one.id: one for one in accounts}, **facts)


def deep(*accounts: Account, **held: Holdings) -> Snapshot:
    return snapshot(*accounts, holdings={one.id: held.get(one.id, Holdings()) for one in accounts})


def phases(plan: Plan[LeaverStep]) -> dict[str, list[LeaverStep]]:
    return {phase.name: list(phase.steps) for phase in plan.phases}


def marked(until: datetime, **facts: Any) -> Account:
    account = Account("a", enabled=False, sessions_valid_from=NOW, marks={ATTRIBUTE: f"{MARK} {to_text(until)}"})
    return replace(account, **facts)


ENABLED = Account("a", enabled=True)
REMOVALS: frozenset[Removal] = frozenset({LeaveGroup("a", "g2"), LeaveGroup("a", "g1"), EndPackage("a", "p")})


def test_a_first_look_plans_containment_alone_and_says_that_there_is_more() -> None:
    plan = plan_leaver(snapshot(ENABLED), {}, TERMS)
    assert plan.steps == (DisableAccount("a"), RevokeSessions("a"))
    assert not plan.complete


def test_containment_comes_first_then_removals_then_the_mark() -> None:
    plan = plan_leaver(deep(ENABLED, a=Holdings(REMOVALS)), {}, TERMS)
    assert plan.complete
    assert [phase.name for phase in plan.phases] == ["contain", "remove", "mark", "delete"]
    found = phases(plan)
    assert found["contain"] == [DisableAccount("a"), RevokeSessions("a")]
    assert found["remove"] == [EndPackage("a", "p"), LeaveGroup("a", "g1"), LeaveGroup("a", "g2")]
    assert found["mark"] == [MarkAccount("a", ATTRIBUTE, f"{MARK} {to_text(NOW + 30 * DAY)}")]
    assert found["delete"] == []


def test_disable_and_revoke_go_in_one_order_for_each_account() -> None:
    plan = plan_leaver(snapshot(ENABLED, replace(ENABLED, id="b")), {}, TERMS)
    assert plan.phases[0].chains == (
        (DisableAccount("a"), RevokeSessions("a")),
        (DisableAccount("b"), RevokeSessions("b")),
    )


def test_mark_and_deletion_wait_for_everything_before_them() -> None:
    plan = plan_leaver(deep(ENABLED), {}, TERMS)
    assert [phase.name for phase in plan.phases if phase.waits] == ["mark", "delete"]


@pytest.mark.parametrize(
    ("since", "again"), [(None, True), (NOW - DAY, True), (NOW, False), (NOW + timedelta(seconds=1), False)]
)
def test_sessions_are_revoked_unless_they_were_since_the_run_began(since: datetime | None, *, again: bool) -> None:
    plan = plan_leaver(snapshot(Account("a", enabled=False, sessions_valid_from=since)), {}, TERMS)
    assert plan.steps == ((RevokeSessions("a"),) if again else ())


def test_on_the_end_state_nothing_is_planned() -> None:
    assert plan_leaver(deep(marked(NOW + 30 * DAY)), {}, TERMS).steps == ()


@given(st.sets(st.sampled_from([step for step in STEPS if "Account" not in step.kind and step != RevokeSessions("a")])))
def test_a_plan_takes_every_removal_once_in_the_same_order(removals: set[Any]) -> None:
    plans = [plan_leaver(deep(ENABLED, a=Holdings(frozenset(removals))), {}, TERMS) for _ in range(2)]
    assert plans[0] == plans[1]
    assert set(phases(plans[0])["remove"]) == removals
    assert len(plans[0].steps) == len(set(plans[0].steps))


# -- an account that Entra does not let go while it is privileged -------------------------------------------------

FIRST = DisableAccount("a").key


@pytest.mark.parametrize("result", [Result.BLOCKED, Result.REFUSED])
def test_a_refused_disable_is_tried_again_once_the_privileges_are_gone(result: Result) -> None:
    plan = plan_leaver(deep(ENABLED, a=Holdings()), {FIRST: result}, TERMS)
    assert DisableAccount("a", again=True) in plan.steps


@pytest.mark.parametrize(
    ("result", "held"),
    [
        (Result.BLOCKED, Holdings(privileged=True)),
        (Result.WAITING, Holdings()),
        (Result.SENT, Holdings()),
        (Result.VERIFIED, Holdings()),
        (Result.PROTECTED, Holdings()),
    ],
)
def test_a_disable_is_not_tried_again_before_that(result: Result, held: Holdings) -> None:
    plan = plan_leaver(deep(ENABLED, a=held), {FIRST: result}, TERMS)
    assert DisableAccount("a", again=True) not in plan.steps


def test_without_a_deep_look_a_refused_disable_is_not_tried_again() -> None:
    assert DisableAccount("a", again=True) not in plan_leaver(snapshot(ENABLED), {FIRST: Result.BLOCKED}, TERMS).steps


# -- retention ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("until", "deleted"), [(NOW + DAY, False), (NOW, False), (NOW - timedelta(microseconds=1), True)]
)
def test_an_account_is_deleted_when_its_time_was_over_as_the_run_began(until: datetime, *, deleted: bool) -> None:
    account = marked(until)
    terms = replace(TERMS, now=NOW + DAY, left_at=NOW - 40 * DAY)
    plan = plan_leaver(deep(account), {}, terms)
    assert plan.steps == ((DeleteAccount("a"),) if deleted else ())


def test_the_run_that_marks_an_account_never_deletes_it() -> None:
    nothing_kept = Policy.model_validate({**POLICY.model_dump(), "leaver": {"retention": {"period": "PT0S"}}})
    terms = Terms(NOW, nothing_kept, NOW + DAY, NOW)
    marks = phases(plan_leaver(deep(ENABLED), {}, terms))["mark"]
    [mark] = marks
    assert isinstance(mark, MarkAccount)
    again = plan_leaver(deep(replace(ENABLED, enabled=False, marks={ATTRIBUTE: mark.until})), {}, terms)
    assert phases(again)["delete"] == []


def test_a_mark_of_an_earlier_leaving_counts_for_nothing() -> None:
    """A person who came back and leaves again is kept for the whole period anew."""
    account = marked(NOW + 10 * DAY)
    assert kept_until(account, TERMS, {}) is None
    plan = plan_leaver(deep(account), {}, TERMS)
    assert phases(plan)["mark"]
    assert not phases(plan)["delete"]


@pytest.mark.parametrize(
    "text", ["", "delete-after", "delete-after soon", "kept 2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"]
)
def test_what_is_no_mark_of_ours_is_overwritten_and_never_deletes(text: str) -> None:
    account = Account("a", enabled=False, sessions_valid_from=NOW, marks={ATTRIBUTE: text})
    found = phases(plan_leaver(deep(account), {}, TERMS))
    assert found["mark"]
    assert not found["delete"]


def test_a_period_that_ends_after_time_does_keeps_the_account() -> None:
    forever = Policy.model_validate({**POLICY.model_dump(), "leaver": {"retention": {"period": "P3650D"}}})
    late = datetime(9999, 12, 1, tzinfo=UTC)
    [mark] = phases(plan_leaver(deep(ENABLED), {}, Terms(late, forever, late, late)))["mark"]
    assert isinstance(mark, MarkAccount)
    assert mark.until.endswith("9999-12-31T23:59:59.999999Z")


def test_an_account_that_is_gone_needs_nothing() -> None:
    plan = plan_leaver(snapshot(), {}, TERMS)
    assert plan.steps == ()
    assert plan.complete


def test_what_stays_is_part_of_the_plan() -> None:
    finding = Finding("f", "dynamic group", "a rule decides")
    assert plan_leaver(deep(ENABLED, a=Holdings(stays=(finding,))), {}, TERMS).findings == (finding,)


# -- protected ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", range(len(STEPS)))
def test_no_step_at_all_is_sent_to_a_protected_account(kind: int) -> None:
    step = replace(STEPS[kind], account=GLASS)
    assert "protected by the policy" in str(protect(step, snapshot(), POLICY))
    assert protect(STEPS[kind], snapshot(), POLICY) is None


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.key)
def test_no_step_at_all_is_sent_to_the_last_global_administrator(step: LeaverStep) -> None:
    assert "last Global Administrator" in str(
        protect(step, snapshot(administrators=Administrators(frozenset("a"))), POLICY)
    )


# -- what a reading says of a step --------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.key)
def test_everything_is_done_for_an_account_that_is_gone(step: LeaverStep) -> None:
    assert observe(step, {}, snapshot()).done is True


@pytest.mark.parametrize("step", [EndPackage("a", "p"), RemoveAppRole("a", "r"), LeaveGroup("a", "g")])
def test_a_removal_is_done_only_when_the_account_was_read_and_no_longer_has_it(step: Any) -> None:
    assert observe(step, {}, snapshot(ENABLED)).done is None
    assert observe(step, {}, deep(ENABLED, a=Holdings(frozenset({step})))).done is False
    assert observe(step, {}, deep(ENABLED)).done is True


def test_a_request_that_was_given_up_is_said_so() -> None:
    step = EndPackage("a", "p")
    held = deep(ENABLED, a=Holdings(frozenset({step})))
    assert observe(step, {}, replace(held, given_up={step.key: "denied"})).gave_up == "denied"


@pytest.mark.parametrize(
    ("since", "done"),
    [(None, False), (NOW - DAY, False), (NOW, True)],
)
def test_sessions_count_as_revoked_once_their_instant_has_moved(since: datetime | None, *, done: bool) -> None:
    before = {"signInSessionsValidFrom": to_text(NOW - DAY)}
    seen = observe(RevokeSessions("a"), before, snapshot(replace(ENABLED, sessions_valid_from=since)))
    assert seen.done is done


def test_a_disable_is_done_when_the_account_reads_as_disabled() -> None:
    assert observe(DisableAccount("a"), {}, snapshot(ENABLED)).done is False
    assert observe(DisableAccount("a"), {}, snapshot(replace(ENABLED, enabled=False))).done is True


def test_a_mark_is_done_when_it_reads_as_written() -> None:
    step = MarkAccount("a", ATTRIBUTE, "delete-after 1")
    assert observe(step, {}, snapshot(replace(ENABLED, marks={ATTRIBUTE: "delete-after 1"}))).done is True
    assert observe(step, {}, snapshot(replace(ENABLED, marks={ATTRIBUTE: "delete-after 0"}))).done is False


def test_an_account_that_still_reads_is_not_deleted() -> None:
    assert observe(DeleteAccount("a"), {}, snapshot(ENABLED)).done is False
