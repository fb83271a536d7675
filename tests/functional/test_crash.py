"""The process dies at any point: whoever takes up the message again comes to the same end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.stage import LEFT, Stage, policy_with

LEAVER, ACCOUNT = "alexw", "soc-4f2a"
EFFECTS = ("after insert", "after replace", "after send", "after POST", "after PATCH", "after DELETE")
"""Only what changes something tells one crash from another: between two effects everything is memory, and is lost."""
TARGET = ("kind", "group", "access", "role", "assignment", "grant", "method")
"""What tells the steps of one account apart."""


async def prepared() -> Stage:
    """HR's date was seen and its event sent; nobody has worked on it yet."""
    stage = Stage(policy=policy_with(limits={"poll": "PT2S"}))
    await stage.link(LEAVER, ACCOUNT)
    stage.hr(LEAVER, employeeLeaveDateTime=LEFT)
    await stage.notice()
    return stage


async def end_of(stage: Stage) -> dict[str, Any]:
    """What is left when the queue is empty, without times; the evidence must prove itself."""
    evidence = await stage.only_run()
    user = stage.user(ACCOUNT)
    scheduled = await stage.scheduled(LEAVER)
    return {
        "outcome": evidence["outcome"],
        "run": [(run.state, run.outcome, run.resume_at) for run in await stage.runs()],
        "contained": evidence["containment"]["contained"],
        "steps": {
            tuple(str(step[name]) for name in TARGET if name in step): step["result"] for step in evidence["steps"]
        },
        "stays": {stay["key"] for stay in evidence["stays"]},
        "enabled": user["accountEnabled"],
        "mark": user["onPremisesExtensionAttributes"]["extensionAttribute15"].partition(" ")[0],
        "groups": stage.groups_of(ACCOUNT),
        "held": stage.held(ACCOUNT),
        "schedule": (scheduled.state, scheduled.revision),
        "queue": len(stage.messages.waiting),
        "dead": len(stage.messages.dead),
        "packages": len(stage.mssp.tenancy.directory["accessPackageAssignmentRequests"].rows),
    }


def boundaries() -> list[int]:
    """Where an undisturbed run has effects, counted from the delivery of its message."""

    async def undisturbed() -> tuple[int, list[str]]:
        stage = await prepared()
        before = len(stage.wire.passed)
        await stage.work()
        return before, stage.wire.passed

    before, passed = asyncio.run(undisturbed())
    return [at - before for at, name in enumerate(passed) if at >= before and name.startswith(EFFECTS)]


CUTS = boundaries()


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    async def undisturbed() -> dict[str, Any]:
        stage = await prepared()
        await stage.work()
        return await end_of(stage)

    return asyncio.run(undisturbed())


@pytest.mark.parametrize("cut", CUTS)
async def test_a_run_that_is_cut_after_any_effect_comes_to_the_same_end(cut: int, expected: dict[str, Any]) -> None:
    stage = await prepared()
    stage.wire.cut_after(cut)
    await stage.work()
    assert await end_of(stage) == expected


@given(
    cuts=st.lists(st.integers(min_value=0, max_value=150), max_size=6),
    times=st.integers(min_value=1, max_value=3),
    lost=st.lists(st.sampled_from(["before", "after"]), max_size=3),
)
@settings(max_examples=30)
def test_crashes_duplicates_and_lost_answers_in_any_order_come_to_the_same_end(
    expected: dict[str, Any], cuts: list[int], times: int, lost: list[str]
) -> None:
    async def disturbed() -> dict[str, Any]:
        stage = await prepared()
        for kind in lost:
            stage.mssp.faults.add({"method": "DELETE", "reset_connection": kind, "times": 1})
        upcoming = list(cuts)
        revive = stage.wire.revive

        def again() -> None:
            revive()
            if upcoming:
                stage.wire.cut_after(upcoming.pop(0))

        stage.wire.revive = again  # type: ignore[method-assign]
        again()
        await stage.work(times=times)
        revive()
        return await end_of(stage)

    assert asyncio.run(disturbed()) == expected
