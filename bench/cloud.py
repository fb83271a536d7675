"""A local cloud under measurement: leavers one at a time, what their runs cost, and what went over the wire."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import psutil
from aiohttp.connector import _SSL_CONTEXT_VERIFIED

from jml.events import LeaverEvent, to_message
from jml.people import Cause
from shared.clock import from_text, to_text
from tests.e2e.local import Running
from tests.e2e.scenario import Document, Scenario, Sent, now, sockets_closed
from tests.e2e.worlds import Data, Person, opened, write_policy

LATENCY_MS = 50
POLL_S = 0.2
LATE_S = 60.0


@contextmanager
def local_cloud(world: Data, policy: Mapping[str, Any] | None = None) -> Iterator[Scenario]:
    with tempfile.TemporaryDirectory(prefix="jml-bench-") as folder, ExitStack() as stack:
        directory = Path(folder)
        running = Running(opened(world), directory, write_policy(directory / "policy.yaml", policy))
        stack.enter_context(running)
        yield Scenario(running, stack.enter_context(httpx.Client(trust_env=False, timeout=120)))


@contextmanager
def trusting(scenario: Scenario) -> Iterator[None]:
    """Inside, the app's own parts run in this process: with its settings, trusting the sandbox's authority.

    aiohttp makes its TLS context once, when it is imported.
    """
    _SSL_CONTEXT_VERIFIED.load_verify_locations(scenario.settings["SSL_CERT_FILE"])
    with mock.patch.dict(os.environ, scenario.settings), sockets_closed():
        yield


def process(scenario: Scenario) -> psutil.Process:
    """The Functions process: the app, Microsoft's worker library and the sandbox's host around them."""
    return psutil.Process(scenario.cloud.functions["commercial"].pid)


def cpu_seconds(app: psutil.Process) -> float:
    """Process time so far, user and system: what other work on the machine does not change."""
    used = app.cpu_times()
    return float(used.user + used.system)


def offboard(scenario: Scenario, person: Person) -> Document:
    """Send the event of a leaver whose date has passed, wait until it is done, and give the run's evidence."""
    carry_out(scenario, person)
    return scenario.last_evidence(person.id)


def carry_out(scenario: Scenario, person: Person) -> None:
    """The same without asking the app for anything: it does nothing but its work."""
    left = now() - timedelta(seconds=1)
    scenario.set_leave_date(person.id, left)
    event = LeaverEvent(scenario.settings["JML_CORPORATE_TENANT_ID"], person.id, left, 1, Cause.DATE, "")
    message = to_message(event, now())
    scenario.send(Sent(message.body, message.id, person.id))
    late = time.monotonic() + LATE_S
    while any(scenario.counts().values()):
        if time.monotonic() > late:
            raise TimeoutError(f"not in {LATE_S:.0f} s: {scenario.messages()}")
        time.sleep(POLL_S)


def requests_of(scenario: Scenario, evidence: Document) -> list[Document]:
    """The Graph requests between a run's first and last row: no other run may be under way."""
    first, last = evidence["openedAt"], evidence["closedAt"]
    return between(scenario.traffic(), first, last)


def between(traffic: Sequence[Document], first: str, last: str) -> list[Document]:
    return [row for row in traffic if first <= to_text(from_text(row["arrived"])) <= last]


def depth(requests: Sequence[Document]) -> int:
    """How many requests came one after another: each is one deeper than the deepest that was answered before it."""
    levels: list[tuple[str, int]] = []
    for row in sorted(requests, key=lambda row: str(row["arrived"])):
        before = [level for answered, level in levels if answered <= row["arrived"]]
        levels.append((str(row["time"]), 1 + max(before, default=0)))
    return max((level for _, level in levels), default=0)
