"""The process dies at any point: whoever takes up the message again comes to the same end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import cache
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jml.steps import LeaverStep
from sandbox.graph.calls import Asked
from sandbox.world import World
from shared.ports import Reply
from tests.fakes.effects import false_claims
from tests.fakes.stage import LEFT, Stage, policy_with, world_with
from tests.fakes.wire import Crash

LEAVER, ACCOUNT = "alexw", "soc-4f2a"
EFFECTS = ("after insert", "after replace", "after send", "after POST", "after PATCH", "after DELETE")
"""Only what changes something tells one crash from another: between two effects everything is memory, and is lost."""
TARGET = ("kind", "group", "access", "role", "grant", "method")
"""What tells the steps of one account apart, and is the same in every world: an assignment's id is not."""


@cache
def world() -> World:
    """The demo's, with one Entra role more."""

    def change(data: dict[str, Any]) -> None:
        data["tenants"]["mssp"]["role_assignments"].append({"principal": ACCOUNT, "role": "Global Reader"})

    return world_with(change)


async def prepared() -> Stage:
    """A leaver for whom every kind of step is needed, and both second tries.

    One Entra role was assigned outside PIM; the account is not disabled while it is privileged; Graph keeps one
    authentication method for the last.
    """
    stage = Stage(world(), policy_with(limits={"poll": "PT2S"}))
    await stage.link(LEAVER, ACCOUNT)
    directory, act = stage.mssp.tenancy.directory, stage.mssp._act
    roles = {row["id"]: row["displayName"] for row in directory["roleDefinitions"].rows.values()}
    for row in list(directory["roleAssignmentSchedules"].rows.values()):
        if roles[row["roleDefinitionId"]] == "Global Reader":
            directory["roleAssignmentSchedules"].remove(row["id"])

    def unless_privileged(asked: Asked) -> Reply:
        disables = asked.method == "PATCH" and "accountEnabled" in asked.body
        return Reply(403) if disables and directory.is_privileged(asked.path.rpartition("/")[2]) else act(asked)

    stage.mssp._act = unless_privileged  # type: ignore[method-assign]
    stage.mssp.faults.add({"method": "DELETE", "path": "phoneMethods", "status": 400, "times": 2})
    stage.hr(LEAVER, employeeLeaveDateTime=LEFT)
    return stage


async def surviving(stage: Stage, work: Callable[[], Awaitable[object]]) -> None:
    """A timer that dies with its process runs again in the next one."""
    while True:
        try:
            await work()
        except Crash:
            await stage.restart()
        else:
            return


async def live(stage: Stage, times: int = 1) -> None:
    """From HR's entry to the deletion, a month later; every message is delivered so many `times`."""
    for _ in range(2):
        await surviving(stage, stage.services.sweep.run)
        await surviving(stage, stage.services.release.run)
        await stage.work(times=times)
        stage.clock.advance(timedelta(days=31))


async def end_of(stage: Stage) -> dict[str, Any]:
    """What is left when the queue is empty, without times; each run's evidence must prove itself and be so."""
    runs = await stage.runs()
    documents = [await stage.evidence(run.id) for run in runs]
    state = stage.mssp.state
    assert [false_claims(document, state) for document in documents] == [[] for _ in runs]
    account = next(user for user in (*state["users"], *state["deletedUsers"]) if user["displayName"] == ACCOUNT)
    scheduled = await stage.scheduled(LEAVER)
    return {
        "runs": [(run.state, run.outcome, run.resume_at, run.generation) for run in runs],
        "contained": [document["containment"]["contained"] for document in documents],
        "steps": [
            {tuple(step[name] for name in TARGET if name in step): step["result"] for step in document["steps"]}
            for document in documents
        ],
        "stays": [{stay["key"] for stay in document["stays"]} for document in documents],
        "deleted": account in state["deletedUsers"],
        "enabled": account["accountEnabled"],
        "mark": account["onPremisesExtensionAttributes"]["extensionAttribute15"].partition(" ")[0],
        "groups": stage.groups_of(account["id"]),
        "held": stage.held(account["id"]),
        "schedule": (scheduled.state, scheduled.revision),
        "queue": len(stage.messages.waiting),
        "dead": len(stage.messages.dead),
        "packages": len(stage.mssp.tenancy.directory["accessPackageAssignmentRequests"].rows),
    }


@cache
def undisturbed() -> tuple[list[int], dict[str, Any], set[tuple[str, bool]]]:
    """Where a life has effects, how it ends, and which kinds of step it has (`again`: second tries)."""

    async def observed() -> tuple[list[int], dict[str, Any], set[tuple[str, bool]]]:
        stage = await prepared()
        before = len(stage.wire.passed)
        await live(stage)
        cuts = [at - before for at, name in enumerate(stage.wire.passed) if at >= before and name.startswith(EFFECTS)]
        evidence = [await stage.evidence(run.id) for run in await stage.runs()]
        kinds = {(step["kind"], bool(step.get("again"))) for document in evidence for step in document["steps"]}
        return cuts, await end_of(stage), kinds

    return asyncio.run(observed())


def test_a_life_has_every_kind_of_step_and_both_second_tries() -> None:
    _, end, kinds = undisturbed()
    assert {kind for kind, _ in kinds} == {kind.__name__ for kind in get_args(LeaverStep)}
    assert {kind for kind, again in kinds if again} == {"DisableAccount", "RemoveMethod"}
    assert [outcome for _, outcome, *_ in end["runs"]] == ["partial", "verified"]
    assert (end["deleted"], end["held"], end["packages"]) == (True, {}, 2)


@pytest.mark.parametrize("cut", undisturbed()[0])
async def test_a_life_that_is_cut_after_any_effect_comes_to_the_same_end(cut: int) -> None:
    stage = await prepared()
    stage.wire.cut_after(cut)
    await live(stage)
    assert await end_of(stage) == undisturbed()[1]


@given(
    cuts=st.lists(st.integers(min_value=0, max_value=150), max_size=6),
    times=st.integers(min_value=1, max_value=3),
    lost=st.lists(st.sampled_from(["before", "after"]), max_size=3),
)
@settings(max_examples=15)
def test_crashes_duplicates_and_lost_answers_in_any_order_come_to_the_same_end(
    cuts: list[int], times: int, lost: list[str]
) -> None:
    async def disturbed() -> dict[str, Any]:
        stage = await prepared()
        for kind in lost:
            stage.mssp.faults.add({"method": "DELETE", "path": "^/groups/", "reset_connection": kind, "times": 1})
        upcoming = list(cuts)
        revive = stage.wire.revive

        def again() -> None:
            revive()
            if upcoming:
                stage.wire.cut_after(upcoming.pop(0))

        stage.wire.revive = again  # type: ignore[method-assign]
        again()
        await live(stage, times)
        return await end_of(stage)

    assert asyncio.run(disturbed()) == undisturbed()[1]
