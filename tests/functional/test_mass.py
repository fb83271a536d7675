"""A crowd of leavers under Graph's quotas, in virtual time: everybody is contained first, and nothing is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from zlib import crc32

import httpx

from bench.mass import adopt, let_out, mass_world
from jml.services import Services
from jml.state import Runs
from sandbox.graph.calls import Answer, Asked
from shared.clock import from_text
from shared.ledger import Kind
from shared.ports import Graph
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
    """`graphs`: the tenant as each process reaches it."""

    graphs: list[Far]
    began: float
    ended: float = 0.0
    read_back: float = 0.0
    messages: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    @property
    def contained(self) -> list[float]:
        return sorted(at for graph in self.graphs for at in graph.contained)

    @property
    def cleaned(self) -> list[float]:
        return sorted(at for graph in self.graphs for at in graph.cleaned)

    @property
    def statuses(self) -> Counter[int]:
        return sum((graph.statuses for graph in self.graphs), Counter())

    @property
    def cleaned_before_all_were_contained(self) -> int:
        return sum(at < self.read_back for at in self.cleaned)


@cache
def course() -> Course:
    return in_virtual_time(offboarded(PEOPLE, SHARE))


async def offboarded(people: int, share: float, processes: int = 1) -> Course:
    data, persons = mass_world(people, 1.0)
    data["settings"]["throttle_scale"] = share
    stage = Stage(opened(data), policy_with(), budget=30.0, clock=VirtualClock())
    host = MemoryHost(stage.clock, SESSIONS)
    found, workers = Course([], stage.clock.seconds()), list[Services]()
    for _ in range(processes):
        found.graphs.append(Far(stage))
        over_loopback(stage, 30.0, loopback=found.graphs[-1], quota=DOCUMENTED.scaled(amount=share))
        workers.append(_worker(stage, host, dict(stage.graphs)))

    async def receive(body: bytes, message: str) -> None:
        """A message comes to whichever process the host likes."""
        await workers[crc32(message.encode()) % processes].lifecycle.receive(body, message)

    await adopt(workers[0], persons)
    await let_out(workers[0])
    found.began = stage.clock.seconds()
    await workers[0].release.run()
    await host.work(receive)
    found.ended, found.messages = stage.clock.seconds(), host.handled
    for row in stage.tables.rows["ledger"].values():
        if row.values["kind"] == Kind.VERIFIED and str(row.values["step"]).startswith(("DisableA", "RevokeS")):
            found.read_back = max(found.read_back, from_text(str(row.values["at"])).timestamp())
    runs, _ = await Runs(stage.tables).page({}, 10 * people, None)
    found.outcomes = Counter(run.outcome or run.state.value for run in runs)
    return found


def _worker(stage: Stage, host: MemoryHost, graphs: Mapping[str, Graph]) -> Services:
    """A process of the app, with a pacer of its own."""

    def graph(tenant: str) -> Graph:
        return graphs[str(stage.world.tenant_by_id(tenant))]

    return Services(**{**vars(stage.services), "messages": host, "graph": graph})


def test_everybody_is_contained_before_a_twentieth_of_the_clean_up() -> None:
    assert len(course().contained) == 2 * PEOPLE
    assert course().cleaned_before_all_were_contained < len(course().cleaned) / 20


def test_graph_refuses_next_to_nothing() -> None:
    statuses = course().statuses
    assert statuses[429] < statuses.total() / 100


def test_everybody_is_cleaned_up_as_quickly_as_the_quota_lets_writes_follow_each_other() -> None:
    writes = len(course().contained) + len(course().cleaned)
    assert set(course().outcomes) == {"partial"}  # what no application may take away is named
    assert course().ended - course().began < 1.05 * writes / (DOCUMENTED.writes * SHARE) * DOCUMENTED.write_seconds


def test_nobody_comes_again_for_nothing_more_than_now_and_then() -> None:
    """Once to be contained, once to be cleaned up; and here and there a plan that slipped."""
    assert course().messages < 3.5 * PEOPLE


# -- two processes, each with a pacer that knows nothing of the other


@cache
def shared_course() -> Course:
    """Of a larger quota: a batch that is refused then is as small a part of it as it would be."""
    return in_virtual_time(offboarded(PEOPLE, 5 * SHARE, processes=2))


def test_two_processes_are_refused_one_request_in_twenty_at_most() -> None:
    statuses = shared_course().statuses
    assert statuses[429] < statuses.total() / 20


def test_two_processes_are_not_much_slower_than_one_would_be() -> None:
    writes = len(shared_course().contained) + len(shared_course().cleaned)
    assert set(shared_course().outcomes) == {"partial"}
    windows = writes / (DOCUMENTED.writes * 5 * SHARE)
    assert shared_course().ended - shared_course().began < 1.25 * windows * DOCUMENTED.write_seconds


def test_neither_process_starves_the_other() -> None:
    for graph in shared_course().graphs:
        writes = sorted(graph.contained + graph.cleaned)
        longest = max(later - one for one, later in pairwise(writes))
        assert len(writes) > len(shared_course().contained + shared_course().cleaned) / 4
        assert longest < 1.5 * DOCUMENTED.write_seconds
