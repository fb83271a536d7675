"""What an Approver may do with a hold, and what comes of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jml.decisions import digest, members
from jml.held import Hold, HoldRows, HoldState
from jml.schedule import State
from shared.authorisation import Caller, Forbidden, Role
from shared.errors import NotThere, Undecidable
from shared.ledger import Kind, Ledger, faults
from tests.fakes.stage import LEFT, QUEUE, Stage, policy_with

PEOPLE = ("alexw", "meganb", "isaiahl")
APPROVER = Caller("99999999-0000-4000-8000-000000000009", frozenset({Role.APPROVER}))


@pytest.fixture
async def mass() -> Stage:
    """Three people leave where one a day may: they are held."""
    limits = {"poll": "PT2S", "breaker": {"count": 1, "share": 1, "window": "P1D"}, "missing": 1, "hold": "P7D"}
    stage = Stage(policy=policy_with(limits=limits))
    for person, accounts in stage.world.x_scenario["links"].items():
        await stage.link(person, *accounts)
    for person in PEOPLE:
        stage.hr(person, employeeLeaveDateTime=LEFT)
    await stage.notice()
    await stage.work()
    return stage


async def only(stage: Stage) -> Hold:
    [found], _ = await HoldRows(stage.tables).page({}, 10, None)
    return found


async def states(stage: Stage) -> list[State]:
    return [(await stage.scheduled(person)).state for person in PEOPLE]


def enabled(stage: Stage, person: str) -> bool:
    [account] = stage.world.x_scenario["links"][person]
    return bool(stage.user(account)["accountEnabled"])


async def decisions(stage: Stage, hold: Hold) -> list[dict[str, Any]]:
    ledger = await Ledger.load(stage.tables, hold.id)
    return [dict(row.data) for row in ledger.rows if row.kind == Kind.DECIDED]


async def test_what_is_released_is_offboarded_past_the_breaker_with_the_deciders_id_in_a_closed_ledger(
    mass: Stage,
) -> None:
    hold = await only(mass)
    await mass.services.holds.release(hold.id, hold.digest, APPROVER)
    assert await mass.services.release.run() == 3
    await mass.work()
    assert not any(enabled(mass, person) for person in PEOPLE)
    assert await decisions(mass, hold) == [{"decision": "released", "by": APPROVER.object_id, "digest": hold.digest}]
    ledger = await Ledger.load(mass.tables, hold.id)
    assert faults([row.document() for row in ledger.rows]) == []
    assert digest(members(ledger)) == hold.digest
    await mass.services.proof.write()
    assert await mass.services.proof.anchor_of(ledger) is not None, "decisions are anchored as runs are"


async def test_what_was_released_does_not_count_again(mass: Stage) -> None:
    hold = await only(mass)
    await mass.services.holds.release(hold.id, hold.digest, APPROVER)
    await mass.services.release.run()
    await mass.work()
    await mass.offboard("lidiah")
    assert not enabled(mass, "lidiah")


async def test_what_is_refused_stays_until_hr_changes_something(mass: Stage) -> None:
    hold = await only(mass)
    await mass.services.holds.refuse(hold.id, hold.digest, APPROVER)
    for _ in range(4):
        mass.clock.advance(timedelta(days=3))
        await mass.notice()
        await mass.work()
    assert all(enabled(mass, person) for person in PEOPLE)
    assert await states(mass) == [State.REFUSED] * 3
    mass.hr("alexw", employeeLeaveDateTime="2026-03-02T08:50:00Z")
    await mass.notice()
    await mass.work()
    assert not enabled(mass, "alexw")


async def test_a_release_of_another_plan_is_refused_with_the_digest_of_this_one(mass: Stage) -> None:
    hold = await only(mass)
    with pytest.raises(Undecidable) as refused:
        await mass.services.holds.release(hold.id, "0" * 64, APPROVER)
    assert refused.value.digest == hold.digest
    assert await states(mass) == [State.HELD] * 3


async def test_a_plan_that_has_changed_since_is_held_again_with_its_new_digest(mass: Stage) -> None:
    """HR takes one date back; the Approver released three and has to see that it is two."""
    hold = await only(mass)
    mass.hr("meganb", employeeLeaveDateTime=None)
    with pytest.raises(Undecidable) as refused:
        await mass.services.holds.release(hold.id, hold.digest, APPROVER)
    again = await only(mass)
    assert again.state is HoldState.OPEN
    assert (again.people, again.digest) == (2, refused.value.digest)
    assert await states(mass) == [State.HELD] * 3
    await mass.services.holds.release(hold.id, again.digest, APPROVER)
    await mass.services.release.run()
    await mass.work()
    assert [enabled(mass, person) for person in PEOPLE] == [False, True, False]
    assert (await mass.scheduled("meganb")).hold == "", "who was not in the plan that was released is judged anew"
    assert [one["decision"] for one in await decisions(mass, hold)] == ["held again", "released"]


async def test_nobody_decides_about_themselves(mass: Stage) -> None:
    hold = await only(mass)
    subject = Caller(mass.account("soc-91c7"), frozenset({Role.APPROVER}))
    for decide in (mass.services.holds.release, mass.services.holds.refuse):
        with pytest.raises(Forbidden):
            await decide(hold.id, hold.digest, subject)
    assert await states(mass) == [State.HELD] * 3


async def test_a_hold_is_decided_once(mass: Stage) -> None:
    hold = await only(mass)
    await mass.services.holds.refuse(hold.id, hold.digest, APPROVER)
    with pytest.raises(Undecidable, match="refused already"):
        await mass.services.holds.release(hold.id, hold.digest, APPROVER)
    with pytest.raises(NotThere):
        await mass.services.holds.release("00000000-0000-4000-8000-000000000000", hold.digest, APPROVER)


async def test_a_hold_that_nobody_decides_ends_and_its_people_are_judged_anew(mass: Stage) -> None:
    hold = await only(mass)
    mass.hr("meganb", employeeLeaveDateTime=None)
    mass.hr("isaiahl", employeeLeaveDateTime=None)
    mass.clock.advance(timedelta(days=7))
    await mass.notice()
    await mass.work()
    assert (await HoldRows(mass.tables).get(hold.id) or hold).state is HoldState.EXPIRED
    assert [enabled(mass, person) for person in PEOPLE] == [False, True, True]
    assert [one["decision"] for one in await decisions(mass, hold)] == ["expired"]


async def test_a_hold_whose_people_all_stay_after_all_is_over(mass: Stage) -> None:
    for person in PEOPLE:
        mass.hr(person, employeeLeaveDateTime=None)
    mass.clock.advance(timedelta(minutes=10))
    await mass.notice()
    await mass.services.release.run()
    assert (await only(mass)).state is HoldState.EXPIRED
    assert await states(mass) == [State.CLEARED] * 3


async def test_too_many_are_held_anew_after_the_end_of_their_hold(mass: Stage) -> None:
    mass.clock.advance(timedelta(days=7))
    await mass.notice()
    await mass.work()
    found, _ = await HoldRows(mass.tables).page({"state": "open"}, 10, None)
    assert [one.people for one in found] == [3]
    assert all(enabled(mass, person) for person in PEOPLE)


async def test_a_release_that_is_cut_at_any_point_is_carried_out_by_the_timer() -> None:
    for cut in range(1, 20):
        stage: Stage = await mass.__wrapped__()  # type: ignore[attr-defined]
        hold = await only(stage)
        stage.wire.cut_after(cut)
        try:
            await stage.services.holds.release(hold.id, hold.digest, APPROVER)
        except BaseException:  # noqa: BLE001 - a crash
            await stage.restart()
        stage.wire.revive()
        after = await only(stage)
        await stage.services.release.run()
        await stage.work()
        gone = [not enabled(stage, person) for person in PEOPLE]
        written = [one["decision"] for one in await decisions(stage, hold)]
        assert (all(gone), any(gone), written) in ((True, True, ["released"]), (False, False, [])), cut
        assert written or after.state is HoldState.OPEN, cut


@pytest.mark.parametrize("refused", [False, True], ids=["held", "refused"])
async def test_a_run_that_has_waited_since_before_does_nothing_about_who_is_held_or_refused(*, refused: bool) -> None:
    """Its own leaving was called off and set again; the one that is held now is another, and the run must not do it."""
    limits = {"poll": "PT2S", "breaker": {"count": 2, "share": 1, "window": "P1D"}, "missing": 1}
    stage = Stage(policy=policy_with(limits=limits))
    for person, accounts in stage.world.x_scenario["links"].items():
        await stage.link(person, *accounts)
    stage.hr("alexw", employeeLeaveDateTime=LEFT)
    await stage.notice()
    stage.corporate.faults.add({"method": "GET", "status": 503, "times": 2})
    [message] = stage.messages.due(QUEUE)
    await stage.messages.hand_out(message, stage.services.lifecycle.receive)
    stage.hr("alexw", employeeLeaveDateTime=None)
    await stage.notice()
    for person in PEOPLE:
        stage.hr(person, employeeLeaveDateTime=LEFT)
    await stage.notice()
    hold = await only(stage)
    if refused:
        await stage.services.holds.refuse(hold.id, hold.digest, APPROVER)
    await stage.work()
    assert all(enabled(stage, person) for person in PEOPLE)
    [run] = await stage.runs()
    assert run.outcome == "held"
    assert hold.id in (await stage.evidence(run.id))["reason"]
