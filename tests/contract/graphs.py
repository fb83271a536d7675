"""The sandbox's Graph, in process and over HTTP, as one thing to be asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt

from sandbox.faults import FaultBoard
from sandbox.graph import GraphService
from shared.adapters.graph import GraphTenant
from shared.ports import Call, Graph, Reply
from tests.contract.credentials import Signed
from tests.fakes.clock import FakeClock
from tests.fakes.graph import SandboxGraph
from tests.fakes.stage import world_with

BUDGET = 30.0
WORLD = world_with(lambda data: data.update(settings={"page_size": 2}))


@dataclass
class Subject:
    """The Graph under test of the demo's MSSP tenant, its faults, and how many requests it took."""

    graph: Graph
    faults: FaultBoard
    clock: FakeClock
    requests: Callable[[], int]
    served: Callable[[], list[str]]
    sign_out: Callable[[], None]
    state: Callable[[], dict[str, Any]]

    async def get(self, *paths: str) -> list[Reply]:
        return await self.graph.send([Call("GET", path) for path in paths])

    def user(self, name: str) -> str:
        return next(str(one["id"]) for one in self.state()["users"] if one["displayName"] == name)


def in_process() -> Subject:
    clock = FakeClock()
    graph = SandboxGraph(WORLD, "mssp", clock, budget=BUDGET)

    def served() -> list[str]:
        return [f"{call.method} {call.path}" for call in graph.calls]

    def sign_out() -> None:
        graph.signed_out = True

    return Subject(graph, graph.faults, clock, lambda: graph.requests, served, sign_out, lambda: graph.state)


@dataclass
class Served:
    """The sandbox's Graph on a TLS listener, and what was asked of it."""

    service: GraphService
    endpoint: str
    traffic: list[dict[str, Any]]


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def over_http(served: Served, clock: FakeClock, budget: float = BUDGET) -> tuple[GraphTenant, Signed]:
    application = WORLD.applications["jml"]
    tenant, object_id = WORLD.tenants["mssp"].id, application.object_id("mssp")
    credential = Signed(served.endpoint, tenant, object_id, application.grants["mssp"])
    return GraphTenant(tenant, served.endpoint, credential, budget, clock), credential


def calls_of(row: dict[str, Any]) -> list[str]:
    path = row["url"].partition("/v1.0")[2]
    if path != "/$batch":
        return [f"{row['method']} {path}"]
    return [f"{one['method']} {one['url']}" for one in row["request"]["requests"]]
