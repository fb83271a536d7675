"""What a run and a sweep ask for: a request more is a change that somebody has to want. Times are in bench/."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import pytest

from bench.reference import DEFAULT_METHOD_REFUSAL, ITEMS, REMOVABLE, STAY, held, leaver, reference_world
from jml.permissions import GRANTS
from sandbox.world import parse_world
from sandbox.worlds.generate import large
from shared.ports import Call, Reply
from tests.fakes.graph import SandboxGraph
from tests.fakes.stage import LEFT, Stage, policy_with

REQUESTS, DEPTH, TRIPS_TO_CONTAIN = 10, 8, 2


@dataclass
class Wave:
    """How deep the requests of all tenants go: those that are under way together are of one depth."""

    depth: int = 0
    under_way: int = 0
    contained_at: int = 0

    def watch(self, graph: SandboxGraph) -> Any:
        send = graph.send

        async def counted(calls: Sequence[Call], **options: Any) -> list[Reply]:
            if self.under_way == 0:
                self.depth += 1
            self.under_way += 1
            if any(call.path.endswith("/revokeSignInSessions") for call in calls):
                self.contained_at = self.contained_at or self.depth
            try:
                return await send(calls, **options)
            finally:
                self.under_way -= 1

        return patch.object(graph, "send", counted)


@pytest.fixture
def reference() -> Stage:
    return Stage(parse_world(reference_world(1), GRANTS))


def requests(stage: Stage) -> int:
    return stage.corporate.requests + stage.mssp.requests


async def test_the_reference_leaver_has_44_things(reference: Stage) -> None:
    """And what the benches and these tests call so is what the sandbox holds."""
    assert held(reference.mssp.state, leaver(0).account) == dict(ITEMS)
    assert sum(ITEMS.values()) == 44


async def test_the_reference_leaver_takes_ten_requests_of_which_eight_wait_for_each_other(reference: Stage) -> None:
    who, wave = leaver(0), Wave()
    await reference.link(who.id, who.account)
    reference.hr(who.id, employeeLeaveDateTime=LEFT)
    await reference.notice()
    reference.mssp.faults.add(dict(DEFAULT_METHOD_REFUSAL))
    before = requests(reference)
    with wave.watch(reference.corporate), wave.watch(reference.mssp):
        await reference.work()
    assert requests(reference) - before == REQUESTS
    assert wave.depth == DEPTH
    assert wave.contained_at == TRIPS_TO_CONTAIN
    evidence = await reference.only_run()
    assert {step["result"] for step in evidence["steps"]} == {"verified"}
    assert len(evidence["steps"]) == REMOVABLE + 3  # disable, revoke, mark
    assert held(reference.mssp.state, who.account) == {kind: ITEMS[kind] for kind in STAY}
    assert len(evidence["stays"]) == sum(ITEMS[kind] for kind in STAY)


@pytest.mark.parametrize(("people", "linked"), [(400, 300), (4000, 300), (4000, 30)])
async def test_a_sweep_asks_graph_twice_however_large_the_tenant_is(people: int, linked: int) -> None:
    """Linked people come a thousand a request; those who leave come by a filter."""
    data = large(people, linked)
    stage = Stage(parse_world(data, GRANTS), policy_with())
    links = list(data["x_scenario"]["links"].items())
    for person, accounts in links:
        await stage.link(person, *accounts)
    for person, _ in links[:10]:
        stage.hr(person, employeeLeaveDateTime="2027-01-01T00:00:00Z")
    before = requests(stage)
    done = await stage.services.sweep.run()
    assert done.changed == 10
    assert requests(stage) - before == 2


async def test_somebody_who_is_contained_is_neither_sent_again_nor_asks_for_more_than_one_look(
    reference: Stage,
) -> None:
    who = leaver(0)
    await reference.link(who.id, who.account)
    await reference.offboard(who.id)
    reference.clock.advance(2 * 3600)
    before = requests(reference)
    done = await reference.services.sweep.run()
    assert (done.changed, done.backlog) == (0, 0)
    assert requests(reference) - before <= 3
    assert await reference.services.release.run() == 0
