"""Mass leaving is held, however it comes; one ordinary leaver always passes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jml.events import LeaverEvent, to_message
from jml.held import HoldRows, HoldState
from jml.people import Cause
from jml.schedule import State
from jml.state import Link, People
from shared.clock import from_text
from tests.fakes.stage import LEFT, Stage, policy_with, world_with

PEOPLE = ("alexw", "meganb", "isaiahl", "lidiah", "pradeepg")


@pytest.fixture
async def team() -> Stage:
    """Five linked people; two of them a day may leave."""
    limits = {"poll": "PT2S", "breaker": {"count": 2, "share": 0.5, "window": "P1D"}, "missing": 1}
    stage = Stage(policy=policy_with(limits=limits))
    for person, accounts in stage.world.x_scenario["links"].items():
        await stage.link(person, *accounts)
    return stage


def enabled(stage: Stage) -> set[str]:
    accounts = {stage.account(a): p for p, [a] in stage.world.x_scenario["links"].items()}
    return {accounts[u["id"]] for u in stage.mssp.state["users"] if u["id"] in accounts and u["accountEnabled"]}


async def holds(stage: Stage) -> list[HoldState]:
    found, _ = await HoldRows(stage.tables).page({}, 100, None)
    return [one.state for one in found]


async def leave(stage: Stage, *people: str) -> None:
    for person in people:
        stage.hr(person, employeeLeaveDateTime=LEFT)
    await stage.notice()
    await stage.work()


async def test_more_than_the_limit_at_once_are_held_and_nobody_is_touched(team: Stage) -> None:
    await leave(team, "alexw", "meganb", "isaiahl")
    assert enabled(team) == set(PEOPLE)
    assert team.messages.sent == []
    assert await holds(team) == [HoldState.OPEN]
    assert {(await team.scheduled(p)).state for p in ("alexw", "meganb", "isaiahl")} == {State.HELD}


async def test_as_many_as_the_limit_pass(team: Stage) -> None:
    await leave(team, "alexw", "meganb")
    assert enabled(team) == {"isaiahl", "lidiah", "pradeepg"}


async def test_those_who_come_one_after_the_other_are_counted_over_the_window(team: Stage) -> None:
    for person in ("alexw", "meganb", "isaiahl"):
        await leave(team, person)
    assert enabled(team) == {"isaiahl", "lidiah", "pradeepg"}
    assert (await team.scheduled("isaiahl")).state is State.HELD
    team.clock.advance(team.policy.limits.breaker.window)
    await leave(team, "lidiah")
    assert "lidiah" not in enabled(team)


async def test_one_ordinary_leaver_passes_beside_a_mass_hold(team: Stage) -> None:
    await leave(team, "alexw", "meganb", "isaiahl", "lidiah")
    await leave(team, "pradeepg")
    assert enabled(team) == {"alexw", "meganb", "isaiahl", "lidiah"}


async def test_two_mass_events_that_arrive_on_the_queue_at_once_cannot_slip_through_together(team: Stage) -> None:
    """Somebody writes events past the schedule; the truth agrees with them, and still only two pass."""
    for person in PEOPLE:
        team.hr(person, employeeLeaveDateTime=LEFT)
        event = LeaverEvent(team.tenant, team.person(person), from_text(LEFT), 1, Cause.DATE, LEFT)
        await team.messages.send([to_message(event, team.clock.now())])
    await team.work()
    assert len(enabled(team)) == 3
    outcomes = sorted(run.outcome for run in await team.runs())
    assert outcomes.count("held") == 3


async def test_a_run_that_finds_no_place_ends_held_with_the_reason_and_its_evidence_proves_itself(team: Stage) -> None:
    for person in PEOPLE[:3]:
        team.hr(person, employeeLeaveDateTime=LEFT)
        await team.services.sweep.run()
        row = await team.scheduled(person)
        event = LeaverEvent(team.tenant, row.person, row.effective, row.revision, row.cause, row.written)
        await team.messages.send([to_message(event, team.clock.now())])
    await team.work()
    [held] = [run for run in await team.runs() if run.outcome == "held"]
    evidence = await team.evidence(held.id)
    assert "2 of 2 places" in evidence["reason"]
    assert evidence["steps"] == [] or {step["result"] for step in evidence["steps"]} == {"planned"}
    assert await holds(team) == [HoldState.OPEN]


async def test_what_is_taken_up_again_does_not_count_again(team: Stage) -> None:
    """Two leave and stay blocked; their retries leave the window's room to others, and are not held."""
    team.mssp.faults.add({"method": "GET", "path": "authentication/methods", "status": 403})
    await leave(team, "alexw", "meganb")
    for _ in range(6):
        team.clock.advance(6 * 3600)
        await team.notice()
        await team.work()
    assert {(await team.scheduled(p)).state for p in ("alexw", "meganb")} <= {State.RELEASED, State.SCHEDULED}
    await leave(team, "isaiahl")
    assert "isaiahl" not in enabled(team)


async def test_the_deletions_of_many_are_no_mass_leave(team: Stage) -> None:
    accounts = {team.account("soc-4f2a"), team.account("soc-91c7")}
    await leave(team, "alexw", "meganb")
    team.clock.advance(31 * 86400)
    await team.notice()
    await team.work()
    assert await holds(team) == []
    assert accounts <= {u["id"] for u in team.mssp.state["deletedUsers"]}


async def test_a_crash_while_a_batch_is_held_lets_nobody_slip_through() -> None:
    limits = {"poll": "PT2S", "breaker": {"count": 2, "share": 0.5}, "missing": 1}
    for cut in range(1, 40):
        stage = Stage(policy=policy_with(limits=limits))
        for person, accounts in stage.world.x_scenario["links"].items():
            await stage.link(person, *accounts)
            stage.hr(person, employeeLeaveDateTime=LEFT)
        await stage.services.sweep.run()
        stage.wire.cut_after(cut)
        try:
            await stage.services.release.run()
        except BaseException:  # noqa: BLE001 - a crash
            await stage.restart()
        stage.wire.revive()
        await stage.services.release.run()
        await stage.work()
        assert len(enabled(stage)) >= 4, cut
        assert (await stage.scheduled("alexw")).state is State.HELD


async def test_three_hundred_people_out_of_scope_at_once_are_held() -> None:
    """Fewer than would be a fault of the source, and far more than leave on one day."""
    people = [f"{at:08d}-1111-4111-8111-111111111111" for at in range(1000)]

    def crowd(data: dict[str, Any]) -> None:
        for at, person in enumerate(people):
            name = f"person-{at}"
            data["tenants"]["corporate"]["users"].append(
                {
                    "id": person,
                    "displayName": name,
                    "userPrincipalName": f"{name}@contoso.example",
                    "department": "Sales" if at < 300 else "Security Operations",
                }
            )

    limits = {"poll": "PT2S", "breaker": {"count": 20, "share": 0.25}, "missing": 0.5}
    stage = Stage(world_with(crowd), policy_with(limits=limits))
    for person in people:
        await People(stage.tables).put(Link(person, frozenset({f"account of {person}"})))
    await stage.notice()
    assert stage.messages.sent == []
    [hold], _ = await HoldRows(stage.tables).page({}, 10, None)
    assert hold.people == 300


async def test_two_global_administrators_who_leave_at_the_same_moment_do_not_both_go() -> None:
    """Each sees the other as the one who is left; who claims first goes, and the other says why it stays."""

    def two(data: dict[str, Any]) -> None:
        roles = data["tenants"]["mssp"]["role_assignments"]
        kept = [one for one in roles if one["role"] != "Global Administrator"]
        made = [{"principal": name, "role": "Global Administrator"} for name in ("soc-4f2a", "soc-91c7")]
        data["tenants"]["mssp"]["role_assignments"] = [*kept, *made]

    stage = Stage(world_with(two))
    for person in ("alexw", "meganb"):
        await stage.link(person, *stage.world.x_scenario["links"][person])
        stage.hr(person, employeeLeaveDateTime=LEFT)
    await stage.notice()
    due = stage.messages.due("lifecycle")
    await asyncio.gather(*(stage.messages.hand_out(one, stage.services.lifecycle.receive) for one in due))
    await stage.work()
    signed_in = [name for name in ("soc-4f2a", "soc-91c7") if stage.user(name)["accountEnabled"]]
    assert len(signed_in) == 1
    stayed = stage.account(signed_in[0])
    reasons = {run.outcome: (await stage.evidence(run.id))["reason"] for run in await stage.runs()}
    assert f"account {stayed} is the last Global Administrator that can sign in" in reasons["blocked"]
