"""A thousand reference leavers at once, under the documented quotas: `python -m bench.mass [--people N] [--scale S]`.

The app's services, its Graph adapter and its pacer in this process; the sandbox's Graph, which enforces the quotas, in
another, over HTTP and TLS. Quotas are scaled in time: windows, and whatever the app does by them, last a share of what
they do at Microsoft; amounts are the documented ones.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import math
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench.disk_tables import DiskTables
from bench.figures import Figure, Report, main, say
from bench.graph_process import CLEAN_UP, CONTAINMENT, Counts, graph_process
from bench.reference import leaver, reference_world
from jml.identity import person_key
from jml.policy import Policy
from jml.services import Services
from jml.state import Link, People, Runs
from sandbox.certificates import create_certificates
from sandbox.functions_process import ROOT
from sandbox.world import World
from shared.adapters.graph import GraphTenant
from shared.authorisation import Caller, Door, Role
from shared.clock import SystemClock, from_text
from shared.ledger import Kind, Ledger
from shared.policyfile import load_policy
from shared.quota import DOCUMENTED
from tests.contract.credentials import Signed
from tests.e2e.worlds import Data, Person, opened, write_policy
from tests.fakes.checkpoints import MemoryContainer, MemorySigner
from tests.fakes.host import MemoryHost
from tests.fakes.wire import Wire

PEOPLE, SCALE = 1000, 0.12
BY_RATE = "time, of what the write quota allows"
BY_WINDOW = "time, of a full window at once and another whenever it has slid past"
RETRY_BUDGET_S = 30.0
SAMPLE_S = 0.5
LEFT = "2026-03-02T08:45:00Z"
CONTAINED_BY = ("DisableAccount", "RevokeSessions")
APPROVER = Caller("00000000-0000-4000-8000-0000000a99e0", frozenset({Role.APPROVER}))


class NoKeys:
    """Nobody knocks at the app's own door here."""

    async def find(self, tenant: str, key_id: str) -> None:  # noqa: ARG002
        return None


@dataclass
class Course:
    """What was seen on the way: seconds since the beginning, and the app's memory in MiB."""

    began: float = 0.0
    ended: float = 0.0
    processor: float = 0.0
    contained: float = 0.0
    memory: list[tuple[float, float]] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    @property
    def seconds(self) -> float:
        return self.ended - self.began


def mass_world(people: int, scale: float) -> tuple[Data, list[Person]]:
    """The world of so many reference leavers who have left, adopted already, and its people."""
    data = reference_world(people, unit_window_s=10 * scale, write_window_s=150 * scale)
    persons = [leaver(at) for at in range(people)]
    tenant = opened(data).tenants["corporate"].id
    gone = {person.id for person in persons}
    for user in data["tenants"]["corporate"]["users"]:
        if user["id"] in gone:
            user["employeeLeaveDateTime"] = LEFT
    keys = {person.account: person_key(tenant, person.id) for person in persons}
    for user in data["tenants"]["mssp"]["users"]:
        if user["id"] in keys:
            user["employeeId"] = keys[user["id"]]
    return data, persons


async def run(data: Data, people: list[Person], endpoint: str, folder: Path, scale: float) -> Course:
    """Everybody's event goes out at once; work until the queue is empty."""
    host, tables = MemoryHost(SystemClock(), sessions()), DiskTables(folder / "tables")
    world, policy = opened(data), load_policy(write_policy(folder / "policy.yaml"), Policy)
    graphs = _graphs(world, endpoint, scale)
    services = Services(
        policy=policy,
        corporate=world.tenants["corporate"].id,
        mssp=world.tenants["mssp"].id,
        graph=graphs.__getitem__,
        store=tables,
        messages=host,
        checkpoints=MemoryContainer(Wire()),
        signer=MemorySigner(),
        door=Door("https://login.example", "api://jml", {}, NoKeys()),
        clock=SystemClock(),
    )
    await adopt(services, people)
    await let_out(services)
    course = Course(began=time.time())
    watch = asyncio.create_task(_watch(course, host))
    used = time.process_time()
    await services.release.run()
    await host.work(services.lifecycle.receive)
    course.ended, course.processor = time.time(), time.process_time() - used
    watch.cancel()
    await asyncio.gather(*(graph.close() for graph in graphs.values()))
    await _read_back(course, services, len(people))
    return course


async def adopt(services: Services, people: list[Person]) -> None:
    for person in people:
        await People(services.store).put(Link(person.id, frozenset({person.account})))


async def let_out(services: Services) -> None:
    """The sweep finds everybody gone, the breaker holds them, and an approver releases what it holds."""
    await services.sweep.run()
    await services.release.run()
    for held in await services.holds.settle():
        await services.holds.release(held.id, held.digest, APPROVER)


def sessions() -> int:
    """How many runs the host has at work at once, as host.json says."""
    host = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    return int(host["extensions"]["serviceBus"]["maxConcurrentSessions"])


def _graphs(world: World, endpoint: str, scale: float) -> dict[str, GraphTenant]:
    """The adapter for each tenant, with quotas as quick as the sandbox's; sign-in is not measured."""
    application = world.applications["jml"]
    found: dict[str, GraphTenant] = {}
    for name, tenant in world.tenants.items():
        signed = Signed(endpoint, tenant.id, application.object_id(name), application.grants[name])
        quota = DOCUMENTED.scaled(time=scale)
        found[tenant.id] = GraphTenant(tenant.id, endpoint, signed, RETRY_BUDGET_S * scale, SystemClock(), quota=quota)
    return found


async def _watch(course: Course, host: MemoryHost) -> None:
    """Memory, and a line of progress now and then."""
    app = psutil.Process()
    while True:
        course.memory.append((time.time() - course.began, app.memory_info().rss / 2**20))
        if len(course.memory) % 20 == 0:
            say(f"{course.memory[-1][0]:.0f} s: {host.handled} messages, {course.memory[-1][1]:.0f} MiB")
        await asyncio.sleep(SAMPLE_S)


async def _read_back(course: Course, services: Services, people: int) -> None:
    """What the ledgers say: when the last containment was read back, and how the runs ended."""
    runs, _ = await Runs(services.store).page({}, 10 * people, None)
    for record in runs:
        ledger = await Ledger.load(services.store, record.id)
        contained = [r.at for r in ledger.rows if r.kind == Kind.VERIFIED and r.step.startswith(CONTAINED_BY)]
        course.contained = max([course.contained, *(from_text(at).timestamp() for at in contained)])
        course.outcomes[record.outcome or record.state.value] += 1


def quota_seconds(writes: float, scale: float) -> float:
    """The least time in which so many writes can be sent: a full window at once, another whenever it has slid past."""
    return max(1, math.ceil(writes / DOCUMENTED.writes) - 1) * DOCUMENTED.write_seconds * scale


def rate_seconds(writes: float, scale: float) -> float:
    """The time of so many writes one after the other, as fast as the quota lets them follow each other for ever."""
    return writes / DOCUMENTED.writes * DOCUMENTED.write_seconds * scale


def measure(people: int, scale: float) -> Report:
    data, persons = mass_world(people, scale)
    with tempfile.TemporaryDirectory(prefix="jml-bench-") as name:
        certificates = create_certificates(Path(name))
        os.environ.update(certificates.environment())
        say(f"{people} leavers, time x {scale:g}: it takes {1 / scale:.3g} times as long at Microsoft")
        with graph_process(data, certificates) as graphs:
            course = asyncio.run(run(data, persons, graphs.endpoint, Path(name), scale))
            counts, processor = graphs.counts()
    how = (
        f"{people} leavers at once, {sessions()} sessions, time x {scale:g}; the sandbox's Graph in a process of its "
        "own over TLS, tables in a file, the queue in memory"
    )
    series = {
        "seconds": course.seconds,
        "processor seconds": {"app": course.processor, "graph": processor},
        "memory MiB at 25, 50, 75, 100 %": [round(_memory_at(course, part / 4), 1) for part in (1, 2, 3, 4)],
        "outcomes": dict(course.outcomes),
        "containment": _progress(counts.writes[CONTAINMENT], course),
        "clean-up": _progress(counts.writes[CLEAN_UP], course),
    }
    return Report("mass", how, _figures(people, scale, course, counts), series)


def _figures(people: int, scale: float, course: Course, counts: Counts) -> list[Figure]:
    clean_up = counts.writes[CLEAN_UP]
    writes = len(clean_up) + len(counts.writes[CONTAINMENT])
    before = sum(at < course.contained for at in clean_up)
    return [
        Figure(BY_RATE, course.seconds / rate_seconds(writes, scale), "x", most=1.05),
        Figure(BY_WINDOW, course.seconds / quota_seconds(writes, scale), "x"),
        Figure("requests answered 429", counts.throttled / counts.requests, "of all", most=0.01),
        Figure("clean-up before the last containment was read back", before / len(clean_up), "of it", most=0.05),
        Figure("memory at the end, of that after a quarter", _memory_at(course, 1) / _memory_at(course, 0.25), "x"),
        Figure("HTTP requests per leaver", counts.http / people),
        Figure("requests per leaver, parts of batches counted", counts.requests / people),
        Figure("writes per leaver", writes / people),
        Figure("last containment read back", (course.contained - course.began) / scale, "s at Microsoft"),
        Figure("all done", course.seconds / scale, "s at Microsoft"),
    ]


def _memory_at(course: Course, share: float) -> float:
    at = min(course.memory, key=lambda sample: abs(sample[0] - share * course.seconds))
    return at[1]


def _progress(times: list[float], course: Course, points: int = 50) -> list[tuple[float, int]]:
    """How many writes had been taken, at equal steps of time: seconds and count."""
    steps = [course.seconds * at / points for at in range(points + 1)]
    return [(round(step, 2), sum(time <= course.began + step for time in times)) for step in steps]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--scale", type=float, default=SCALE, help="share of Microsoft's seconds that ours take")
    return parser.parse_args()


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    options = _options()
    sys.exit(main(lambda: measure(options.people, options.scale)))
