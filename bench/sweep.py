"""A sweep over a large tenant: what it asks for, and what it keeps in memory."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import psutil

from bench.cloud import between, local_cloud, process
from bench.figures import Figure, Report, main, say
from sandbox.worlds.generate import large
from shared.clock import to_text
from tests.e2e.scenario import Scenario, now

PEOPLE, LINKED, CHANGED = 100_000, 300, 10
WAYS = ((10_000, 300), (100_000, 100), (100_000, 300), (100_000, 1_000))
"""People of the tenant and linked ones: more of either than the target names, and fewer."""
MOST_LINKED = max(linked for _, linked in WAYS)
MOST_REQUESTS, MOST_MB = 12, 150
MB = 1024 * 1024
SAMPLE_S = 0.005


def measure() -> Report:
    requests: dict[str, int] = {}
    grown: list[float] = []
    again = 0
    for people in sorted({people for people, _ in WAYS}):
        say(f"sweep: a tenant of {people} people")
        data = large(people, MOST_LINKED)
        links: dict[str, list[str]] = data["x_scenario"]["links"]
        with local_cloud(data) as scenario:
            linked = 0
            for more in sorted(linked for tenant, linked in WAYS if tenant == people):
                scenario.link(dict(list(links.items())[linked:more]))
                changing = list(links)[linked : linked + CHANGED]
                linked = more
                for person in changing:
                    scenario.set_leave_date(person, now() + timedelta(days=20))
                count, peak = _sweep(scenario)
                requests[f"{people} people, {more} linked"] = count
                grown.append(peak)
                say(f"sweep: {people} people, {more} linked, {CHANGED} changed: {count} requests, {peak:.1f} MB more")
                if (people, more) == (PEOPLE, LINKED):
                    again, _ = _sweep(scenario)
    ours = requests[f"{PEOPLE} people, {LINKED} linked"]
    return Report(
        "sweep",
        "the sweep's timer in a running Functions process: its Graph requests, and how far the resident memory of the "
        f"process rises (the most of {len(WAYS)} sweeps, the first of its process among them; a sample each "
        f"{SAMPLE_S * 1000:.0f} ms); each time {CHANGED} people have a leave date that they had not",
        [
            Figure(
                f"Graph requests over {PEOPLE:,} people, {LINKED} linked, {CHANGED} changed", ours, most=MOST_REQUESTS
            ),
            Figure("peak memory beyond that of the idle process", max(grown), "MB", most=MOST_MB),
            Figure(
                "requests that a tenant ten times as large adds",
                ours - requests[f"{PEOPLE // 10} people, {LINKED} linked"],
                most=0,
            ),
            Figure("Graph requests when nothing has changed", again),
        ],
        {"requests": requests},
    )


def _sweep(scenario: Scenario) -> tuple[int, float]:
    """Graph requests of one sweep, and how far memory rose meanwhile, in MB."""
    began = to_text(now())
    with _peak(process(scenario)) as peak:
        scenario.sweep()
    return len(between(scenario.traffic(), began, to_text(now()))), peak[0] / MB


@contextmanager
def _peak(app: psutil.Process) -> Iterator[list[int]]:
    """The most resident memory beyond that at the start, in bytes."""
    before = app.memory_info().rss
    most, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLE_S):
            most[0] = max(most[0], app.memory_info().rss - before)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield most
    finally:
        over.set()
        watching.join()


if __name__ == "__main__":
    sys.exit(main(measure))
