"""A crowd of leavers under Graph's quotas, in virtual time: everybody is contained first, and nothing is refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache

import httpx

from bench.mass import adopt, let_out, mass_world
from jml.services import Services
from jml.state import Runs
from sandbox.graph.calls import Answer, Asked
from shared.clock import from_text
from shared.ledger import Kind
from shared.quota import DOCUMENTED
from tests.e2e.worlds import opened
from tests.fakes.host import MemoryHost
from tests.fakes.loopback import Loopback, over_loopback
from tests.fakes.stage import Stage, policy_with
from tests.fakes.virtual import VirtualClock, in_virtual_time

PEOPLE, SHARE = 40, 0.04
"""As many people as there is quota: they need as many windows as a thousand do under the whole of it."""
WAY_S = 0.1
SESSIONS = 16


@dataclass
class Far(Loopback):
    """The MSSP tenant, a tenth of a second away. `taken`: when each write of a kind was taken, in seconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    contained: list[float] = field(default_factory=list)
    cleaned: list[float] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self.stage.clock.sleep(WAY_S / 2)
        response = await super().handle_async_request(request)
        await self.stage.clock.sleep(WAY_S / 2)
        return response

    def _act(self, one: Asked) -> Answer:
        reply = super()._act(one)
        self.statuses[reply.status] += 1
        if one.method != "GET" and reply.done:
            contains = one.path.endswith("revokeSignInSessions") or "accountEnabled" in (one.body or {})
            (self.contained if contains else self.cleaned).append(self.stage.clock.seconds())
        return reply


@dataclass
class Course:
    graph: Far
    began: float
    ended: float = 0.0
    read_back: float = 0.0
    messages: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    @property
    def cleaned_before_all_were_contained(self) -> int:
        return sum(at < self.read_back for at in self.graph.cleaned)


@cache
def course() -> Course:
    return in_virtual_time(offboarded(PEOPLE, SHARE))


async def offboarded(people: int, share: float) -> Course:
    data, persons = mass_world(people, 1.0)
    data["settings"]["throttle_scale"] = share
    stage = Stage(opened(data), policy_with(), budget=30.0, clock=VirtualClock())
    graph = Far(stage)
    over_loopback(stage, 30.0, loopback=graph, quota=DOCUMENTED.scaled(amount=share))
    host = MemoryHost(stage.clock, SESSIONS)
    services = Services(**{**vars(stage.services), "messages": host})
    await adopt(services, persons)
    await let_out(services)
    found = Course(graph, stage.clock.seconds())
    await services.release.run()
    await host.work(services.lifecycle.receive)
    found.ended, found.messages = stage.clock.seconds(), host.handled
    for row in stage.tables.rows["ledger"].values():
        if row.values["kind"] == Kind.VERIFIED and str(row.values["step"]).startswith(("DisableA", "RevokeS")):
            found.read_back = max(found.read_back, from_text(str(row.values["at"])).timestamp())
    runs, _ = await Runs(services.store).page({}, 10 * people, None)
    found.outcomes = Counter(run.outcome or run.state.value for run in runs)
    return found


def test_everybody_is_contained_before_a_twentieth_of_the_clean_up() -> None:
    graph = course().graph
    assert len(graph.contained) == 2 * PEOPLE
    assert course().cleaned_before_all_were_contained < len(graph.cleaned) / 20


def test_graph_refuses_next_to_nothing() -> None:
    statuses = course().graph.statuses
    assert statuses[429] < statuses.total() / 100


def test_everybody_is_cleaned_up_as_quickly_as_the_quota_lets_writes_follow_each_other() -> None:
    writes = len(course().graph.contained) + len(course().graph.cleaned)
    assert set(course().outcomes) == {"partial"}  # what no application may take away is named
    assert course().ended - course().began < 1.05 * writes / (DOCUMENTED.writes * SHARE) * DOCUMENTED.write_seconds


def test_nobody_comes_again_for_nothing_more_than_now_and_then() -> None:
    """Once to be contained, once to be cleaned up; and here and there a plan that slipped."""
    assert course().messages < 3.5 * PEOPLE
