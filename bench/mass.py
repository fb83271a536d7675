"""A thousand reference leavers at once, under Graph's documented quotas: `python -m bench.mass [--people N] [--scale S]`.

The app's services, its Graph adapter and its pacer in this process; the sandbox's Graph, which enforces the quotas, in
another, over HTTP and TLS. Quotas are scaled in time: windows, and whatever the app does by them, last a share of what
they do at Microsoft; amounts are the documented ones.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import math
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bench.disk_tables import DiskTables
from bench.figures import Figure, Report, main, say
from bench.graph_process import CLEAN_UP, CONTAINMENT, Counts, GraphProcess, certificates_in, graph_process
from bench.reference import leaver, reference_world
from jml.events import LeaverEvent, to_message
from jml.identity import person_key
from jml.people import Cause
from jml.policy import Policy
from jml.services import Services
from jml.state import Link, People, Runs, RunState
from sandbox.world import World
from shared.adapters.graph import GraphTenant
from shared.authorisation import Door
from shared.clock import SystemClock, from_text
from shared.ledger import Kind, Ledger
from shared.policyfile import load_policy
from shared.quota import DOCUMENTED
from tests.contract.credentials import Signed
from tests.e2e.worlds import Data, Person, opened, write_policy
from tests.fakes.host import MemoryHost

PEOPLE, SCALE, SESSIONS = 1000, 0.1, 8
RETRY_BUDGET_S = 30.0
SAMPLE_S = 0.5
LEFT = "2026-03-02T08:45:00Z"
POLICY: dict[str, Any] = {}
"""Changes of the sample policy, by dotted name."""


class NoKeys:
    """Nobody knocks at the app's own door here."""

    async def find(self, tenant: str, key_id: str) -> None:
        return None


@dataclass
class Course:
    """What was seen on the way: seconds since the beginning, and the app's memory in MiB."""

    began: float = 0.0
    ended: float = 0.0
    processor: float = 0.0
    memory: list[tuple[float, float]] = field(default_factory=list)

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


async def run(
    data: Data, people: list[Person], graphs: GraphProcess, folder: Path, scale: float
) -> tuple[Course, Services]:
    """Hand out everybody's event at once, and work until the queue is empty."""
    clock, host, tables = SystemClock(), MemoryHost(SystemClock(), SESSIONS), DiskTables(folder / "tables")
    world, policy = opened(data), load_policy(write_policy(folder / "policy.yaml", POLICY), Policy)
    services, close = _services(world, policy, graphs.endpoint, scale, tables, host)
    for person in people:
        await People(tables).put(Link(person.id, frozenset({person.account})))
    left = from_text(LEFT)
    events = [LeaverEvent(services.corporate, person.id, left, 1, Cause.DATE, "") for person in people]
    course = Course(began=time.time())
    watch = asyncio.create_task(_watch(course, host, len(people)))
    used = time.process_time()
    await host.send([to_message(event, clock.now()) for event in events])
    await host.work(services.lifecycle.receive)
    course.ended, course.processor = time.time(), time.process_time() - used
    watch.cancel()
    await close()
    return course, services


def _services(
    world: World, policy: Policy, endpoint: str, scale: float, tables: DiskTables, host: MemoryHost
) -> tuple[Services, Any]:
    clock, application = SystemClock(), world.applications["jml"]
    graphs = {
        tenant.id: GraphTenant(
            tenant.id,
            endpoint,
            Signed(endpoint, tenant.id, application.object_id(name), application.grants[name]),
            RETRY_BUDGET_S * scale,
            clock,
            quota=DOCUMENTED.scaled(time=scale),
        )
        for name, tenant in world.tenants.items()
    }
    services = Services(
        policy=policy,
        corporate=world.tenants["corporate"].id,
        mssp=world.tenants["mssp"].id,
        graph=graphs.__getitem__,
        store=tables,
        messages=host,
        door=Door("https://login.example", "api://jml", {}, NoKeys()),
        clock=clock,
    )

    async def close() -> None:
        await asyncio.gather(*(graph.close() for graph in graphs.values()))

    return services, close


async def _watch(course: Course, host: MemoryHost, people: int) -> None:
    """Memory, and a line of progress now and then."""
    app = psutil.Process()
    while True:
        course.memory.append((time.time() - course.began, app.memory_info().rss / 2**20))
        if len(course.memory) % 20 == 0:
            say(f"{course.memory[-1][0]:.0f} s: {host.handled} messages, {course.memory[-1][1]:.0f} MiB")
        await asyncio.sleep(SAMPLE_S)


async def last_contained(services: Services, people: list[Person]) -> tuple[float, dict[str, int]]:
    """When the last containment was read back, as the ledger says; and the outcomes of the runs."""
    last, outcomes = 0.0, dict[str, int]()
    runs, _ = await Runs(services.store).page({}, 10 * len(people), None)
    for record in runs:
        ledger = await Ledger.load(services.store, record.id)
        contained = [r.at for r in ledger.rows if r.kind == Kind.VERIFIED and r.step.startswith(("Disable", "Revoke"))]
        last = max([last, *(from_text(at).timestamp() for at in contained)])
        outcome = record.outcome if record.state is RunState.CLOSED else record.state.value
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    return last, outcomes


def quota_seconds(writes: int, scale: float) -> float:
    """The least time in which so many writes can be sent: a full window at once, another whenever it has slid past."""
    return (math.ceil(writes / DOCUMENTED.writes) - 1) * DOCUMENTED.write_seconds * scale


def measure(people: int, scale: float) -> Report:
    data, persons = mass_world(people, scale)
    with tempfile.TemporaryDirectory(prefix="jml-bench-") as name:
        folder = Path(name)
        certificates = certificates_in(folder)
        os.environ.update(certificates.environment())
        say(f"{people} leavers, time x {scale:g}; at Microsoft it takes {1 / scale:g} times as long")
        with graph_process(data, certificates) as graphs:
            course, services = asyncio.run(run(data, persons, graphs, folder, scale))
            counts, processor = graphs.counts()
        last, outcomes = asyncio.run(last_contained(services, persons))
    return report(people, scale, course, counts, last, outcomes, processor)


def report(
    people: int, scale: float, course: Course, counts: Counts, last: float, outcomes: dict[str, int], processor: float
) -> Report:
    clean_up, contained = counts.writes[CLEAN_UP], counts.writes[CONTAINMENT]
    writes = len(clean_up) + len(contained)
    allowed = quota_seconds(writes, scale)
    before = sum(at < last for at in clean_up)
    quarters = [_memory_at(course, share) for share in (0.25, 0.5, 0.75, 1.0)]
    figures = [
        Figure("time, of what the write quota allows", course.seconds / max(allowed, 1e-9), "x", most=1.05),
        Figure("time, of writes at the quota's rate", course.seconds / (writes * 0.05 * scale), "x"),
        Figure("requests answered 429", counts.throttled / counts.requests, "of all", most=0.01),
        Figure("clean-up before the last containment was read back", before / len(clean_up), "of it", most=0.05),
        Figure("memory at the end, of that after a quarter", quarters[-1] / quarters[0], "x", most=1.1),
        Figure("HTTP requests per leaver", counts.http / people),
        Figure("requests per leaver, parts of batches counted", counts.requests / people),
        Figure("writes per leaver", writes / people),
        Figure("last containment read back", (last - course.began) / scale, "s at Microsoft"),
        Figure("all done", course.seconds / scale, "s at Microsoft"),
    ]
    series = {
        "seconds": course.seconds,
        "processor": {"app": course.processor, "graph": processor},
        "memory MiB at 25, 50, 75, 100 %": [round(one, 1) for one in quarters],
        "outcomes": outcomes,
        "containment": _progress(contained, course),
        "clean-up": _progress(clean_up, course),
    }
    how = (
        f"{people} leavers at once, {SESSIONS} sessions, time x {scale:g}; the sandbox's Graph in a process of its own "
        "over TLS, tables in a file, the queue in memory"
    )
    return Report("mass", how, figures, series)


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
