"""Things that went wrong once, and what the next hours make of them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jml.events import LeaverEvent, to_message
from jml.people import Cause
from jml.schedule import State
from jml.state import Link, People
from shared.clock import from_text
from tests.fakes.stage import LEFT, Stage, policy_with, world_with

WHO, ACCOUNT = "alexw", "soc-4f2a"
MARK = "extensionAttribute15"


def mark_of(stage: Stage) -> str | None:
    marks = stage.user(ACCOUNT).get("onPremisesExtensionAttributes") or {}
    value = marks.get(MARK)
    return None if value is None else str(value)


async def later(stage: Stage, **time: float) -> None:
    """Some time passes; the timers run, and what they send is worked on."""
    stage.clock.advance(timedelta(**time))
    await stage.notice()
    await stage.work()


async def test_somebody_who_came_back_and_is_disabled_much_later_is_kept_their_whole_retention(stage: Stage) -> None:
    """The mark of the first leaving is old by then; it must not delete the account at once."""
    await stage.offboard(WHO)
    first = mark_of(stage)
    stage.hr(WHO, employeeLeaveDateTime=None)
    stage.alter(stage.mssp, stage.account(ACCOUNT), accountEnabled=True)
    await later(stage, days=5)
    assert stage.user(ACCOUNT)["accountEnabled"] is True
    stage.clock.advance(timedelta(days=300))
    stage.hr(WHO, accountEnabled=False)
    await stage.notice()
    await stage.work()
    await later(stage, minutes=5)
    assert stage.user(ACCOUNT)["accountEnabled"] is False
    second = mark_of(stage)
    assert first is not None
    assert second is not None
    assert second > first


async def test_a_run_that_ends_before_its_row_was_released_is_deleted_all_the_same(stage: Stage) -> None:
    """Events go out before the rows say so: a fast run, or a crash in between, must not lose the deletion."""
    stage.hr(WHO, employeeLeaveDateTime=LEFT)
    await stage.services.sweep.run()
    row = await stage.scheduled(WHO)
    message = to_message(
        LeaverEvent(stage.tenant, row.person, row.effective, row.revision, row.cause, row.written), stage.clock.now()
    )
    await stage.services.lifecycle.receive(message.body, message.id)
    await stage.work()
    await stage.services.release.run()
    assert (await stage.scheduled(WHO)).state is State.RETAINED
    account = stage.account(ACCOUNT)
    await later(stage, days=31)
    assert account in {user["id"] for user in stage.mssp.state["deletedUsers"]}


async def test_what_a_missing_permission_left_is_done_once_it_is_granted(stage: Stage) -> None:
    """The account is contained, so nobody would look at it again but for the backlog."""
    refusal = {"method": "GET", "path": "authentication/methods", "status": 403}
    stage.mssp.faults.add(refusal)
    await stage.offboard(WHO)
    evidence = await stage.only_run()
    assert evidence["containment"]["contained"] is True
    assert evidence["outcome"] == "blocked"
    assert "UserAuthenticationMethod.ReadWrite.All" in evidence["reason"]
    assert stage.held(ACCOUNT) == {"methods": 4}
    assert mark_of(stage) is None
    stage.mssp.faults.clear()
    await later(stage, hours=2)
    assert stage.held(ACCOUNT) == {}
    assert mark_of(stage) is not None


async def test_somebody_who_stays_blocked_is_taken_up_less_and_less_often(stage: Stage) -> None:
    await People(stage.tables).put(
        Link(stage.person(WHO), frozenset({stage.account("soc-91c7")}), version=await version(stage))
    )
    await stage.offboard(WHO)
    assert (await stage.runs())[0].outcome == "blocked"
    for _ in range(48):
        await later(stage, minutes=30)
    assert 3 <= len(await stage.runs()) <= 8


async def version(stage: Stage) -> str:
    link = await People(stage.tables).get(stage.person(WHO))
    assert link is not None
    return link.version


async def test_an_account_that_is_enabled_again_while_the_run_waits_is_disabled_again(stage: Stage) -> None:
    """What was verified is looked at again at the end: nobody calls an enabled account contained."""
    stage.hr(WHO, employeeLeaveDateTime=LEFT)
    await stage.notice()
    [first] = stage.messages.due("lifecycle")
    await stage.messages.hand_out(first, stage.services.lifecycle.receive)
    assert stage.user(ACCOUNT)["accountEnabled"] is False
    stage.alter(stage.mssp, stage.account(ACCOUNT), accountEnabled=True)
    await stage.work()
    assert stage.user(ACCOUNT)["accountEnabled"] is False
    evidence = await stage.only_run()
    assert evidence["containment"]["contained"] is True
    assert "reopened" in {row["kind"] for row in evidence["rows"]}


async def test_clean_up_waits_until_containment_was_answered(stage: Stage) -> None:
    stage.mssp.faults.add({"method": "PATCH", "path": r"^/users/[^/]+$", "status": 503})
    stage.hr(WHO, employeeLeaveDateTime=LEFT)
    await stage.notice()
    held = stage.held(ACCOUNT)
    [first] = stage.messages.due("lifecycle")
    await stage.messages.hand_out(first, stage.services.lifecycle.receive)
    assert stage.held(ACCOUNT) == held
    stage.mssp.faults.clear()
    await stage.work()
    assert stage.user(ACCOUNT)["accountEnabled"] is False
    assert stage.held(ACCOUNT) == {}


async def test_an_old_event_that_comes_late_does_not_overtake_a_newer_run(stage: Stage) -> None:
    """A dead letter of revision 1 is redriven after revision 2 was worked on."""
    await stage.offboard(WHO)
    people = People(stage.tables)
    link = await people.get(stage.person(WHO))
    assert link is not None
    await stage.revise(WHO)
    newer = LeaverEvent(stage.tenant, stage.person(WHO), from_text(LEFT), 2, Cause.DATE)
    message = to_message(newer, stage.clock.now())
    await stage.services.lifecycle.receive(message.body, message.id)
    older = LeaverEvent(stage.tenant, stage.person(WHO), from_text("2026-03-01T00:00:00Z"), 1, Cause.DATE)
    message = to_message(older, stage.clock.now())
    await stage.services.lifecycle.receive(message.body, message.id)
    outcomes = {run.id: run.outcome for run in await stage.runs()}
    assert outcomes[older.id] == "superseded"
    assert outcomes[newer.id] != "superseded"


@pytest.mark.parametrize("gone_for_good", [True, False])
async def test_where_the_canary_is_not_at_home_only_a_confirmed_deletion_counts(
    stage: Stage, *, gone_for_good: bool
) -> None:
    """A wrong tenant, or an emptied source, knows nobody: that is no mass leaving."""
    person = stage.person(WHO)
    stage.delete(WHO, for_good=gone_for_good)
    stage.delete("00000000-0000-4000-8000-00000000ca11")
    await stage.services.sweep.run()
    row = await stage.scheduled(person)
    assert (row is None) is gone_for_good


async def test_a_window_that_cannot_be_read_does_not_switch_the_backlog_off(stage: Stage) -> None:
    await stage.offboard(WHO)
    stage.alter(stage.mssp, stage.account(ACCOUNT), accountEnabled=True)
    stage.clock.advance(timedelta(hours=2))
    stage.corporate.faults.add({"method": "GET", "path": "^/users$", "status": 400})
    with pytest.raises(Exception, match="users"):
        await stage.services.sweep.run()
    assert (await stage.scheduled(WHO)).state is State.SCHEDULED


async def test_a_deletion_that_is_cut_at_any_effect_ends_as_a_deletion() -> None:
    """The accounts are forgotten on the way: the run remembers them from its own ledger."""
    for cut in range(200):
        stage = Stage(policy=policy_with())
        await stage.link(WHO, ACCOUNT)
        await stage.offboard(WHO)
        account = stage.account(ACCOUNT)
        stage.clock.advance(timedelta(days=31))
        await stage.notice()
        before = len(stage.wire.passed)
        stage.wire.cut_after(cut)
        await stage.work()
        assert account in {user["id"] for user in stage.mssp.state["deletedUsers"]}
        assert (await stage.scheduled(WHO)).state is State.DONE
        assert [run.outcome for run in await stage.runs()][-1] == "verified"
        if len(stage.wire.passed) - before <= cut:
            return
    raise AssertionError("the deletion takes more boundaries than this test cuts")


async def test_the_default_authentication_method_goes_last(stage: Stage) -> None:
    """Graph refuses to take it while others are left; it is asked for at once when they are gone."""
    stage.mssp.faults.add({"method": "DELETE", "path": "phoneMethods", "status": 400, "times": 1})
    await stage.offboard(WHO)
    assert stage.held(ACCOUNT) == {}
    evidence = await stage.only_run()
    [phone] = [step for step in evidence["steps"] if step.get("collection") == "phoneMethods"]
    assert phone["result"] == "verified"
    assert [one["status"] for one in phone["tries"] if "status" in one] == [400, 204]
    assert evidence["outcome"] == "partial"


async def test_a_method_that_is_refused_among_others_that_are_refused_is_not_the_default_one(stage: Stage) -> None:
    """Nothing says then that the others are gone: each is asked for once."""
    stage.mssp.faults.add({"method": "DELETE", "path": "Methods/", "status": 400})
    await stage.offboard(WHO)
    deletions = [call.path for call in stage.mssp.calls if call.method == "DELETE" and "Methods/" in call.path]
    assert len(deletions) == len(set(deletions)) == 4
    assert stage.held(ACCOUNT) == {"methods": 4}


async def test_guests_are_looked_for_once_a_slice() -> None:
    """No step changes what they have; only what could not be known is asked for again."""
    world = world_with(lambda data: data["settings"].update(delivery_ms=0))
    tenant = world.tenants["fabrikam"].id
    stage = Stage(world, policy_with(residual_access={"customer_tenants": [tenant]}))
    await stage.link(WHO, ACCOUNT)
    await stage.offboard(WHO)
    assert len(stage.graphs["fabrikam"].calls) == (await stage.only_run())["slices"] == 1


async def test_a_customer_tenant_that_did_not_answer_is_asked_again() -> None:
    world = world_with(lambda data: data["settings"].update(delivery_ms=0))
    tenant = world.tenants["fabrikam"].id
    stage = Stage(world, policy_with(residual_access={"customer_tenants": [tenant]}))
    await stage.link(WHO, ACCOUNT)
    stage.graphs["fabrikam"].faults.add({"method": "GET", "path": "users", "status": 503, "times": 1})
    await stage.offboard(WHO)
    assert [stay["kind"] for stay in (await stage.only_run())["stays"] if "guest" in stay["kind"]] == ["guest"]
