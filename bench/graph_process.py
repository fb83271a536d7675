"""The sandbox's Graph in a process of its own, over TLS: what it was asked, counted as it answers."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import jwt

from sandbox.certificates import Certificates
from sandbox.faults import FaultBoard
from sandbox.graph import GraphService
from sandbox.serving import bind, port_of, serve
from tests.e2e.worlds import Data, opened

CONTAINMENT = "containment"
CLEAN_UP = "clean-up"


@dataclass
class Counts:
    """Requests over HTTP, the parts of batches one by one, and when each write of a kind was taken (in seconds)."""

    http: int = 0
    requests: int = 0
    throttled: int = 0
    writes: dict[str, list[float]] = field(default_factory=lambda: {CONTAINMENT: [], CLEAN_UP: []})

    def note(self, exchange: dict[str, Any]) -> None:
        self.http += 1
        now = time.time()
        for method, url, body, status in _parts(exchange):
            self.requests += 1
            self.throttled += status == 429
            if method != "GET" and status < 300:
                self.writes[_kind(method, url, body)].append(now)


def _parts(exchange: dict[str, Any]) -> Iterator[tuple[str, str, Any, int]]:
    if not exchange["url"].endswith("/$batch"):
        yield exchange["method"], exchange["url"], exchange["request"], exchange["status"]
        return
    statuses = {one["id"]: one["status"] for one in exchange["response"]["responses"]}
    for one in exchange["request"]["requests"]:
        yield one["method"], one["url"], one.get("body"), statuses[one["id"]]


def _kind(method: str, url: str, body: Any) -> str:
    contains = url.endswith("/revokeSignInSessions") or (method == "PATCH" and "accountEnabled" in (body or {}))
    return CONTAINMENT if contains else CLEAN_UP


def claims_of(token: str) -> dict[str, Any]:
    """Sign-in is not what is measured: tokens are read and believed."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


class GraphProcess:
    """`counts` stops the process and gives what it counted, with the processor time that it took."""

    def __init__(self, endpoint: str, pipe: Connection) -> None:
        self.endpoint = endpoint
        self._pipe = pipe

    def counts(self) -> tuple[Counts, float]:
        self._pipe.send("counts")
        counts: tuple[Counts, float] = self._pipe.recv()
        return counts


@contextmanager
def graph_process(world: Data, certificates: Certificates) -> Iterator[GraphProcess]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(world, certificates, theirs), daemon=True)
    process.start()
    try:
        yield GraphProcess(ours.recv(), ours)
    finally:
        process.terminate()
        process.join()


def _run(world: Data, certificates: Certificates, pipe: Connection) -> None:
    asyncio.run(_serve(world, certificates, pipe))


async def _serve(world: Data, certificates: Certificates, pipe: Connection) -> None:
    counts = Counts()
    service = GraphService(opened(world), claims_of, counts.note, FaultBoard())
    listener = bind()
    endpoint = f"https://localhost:{port_of(listener)}"
    service.audiences.add(endpoint)
    runner = await serve(service.application(), listener, certificates.server_context())
    pipe.send(endpoint)
    while await asyncio.to_thread(pipe.recv):
        pipe.send((counts, time.process_time()))
    await runner.cleanup()
