"""A client of the sandbox's Graph over plain HTTP, with tokens that name a tenant and permissions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

from jml.permissions import GRANTS
from sandbox.errors import TokenRefused
from sandbox.faults import FaultBoard
from sandbox.graph import GraphService
from sandbox.world import World, parse_world

EVENTUAL = {"ConsistencyLevel": "eventual"}


@dataclass(frozen=True)
class Reply:
    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        return str(self.body["error"]["code"])

    @property
    def ids(self) -> list[str]:
        return [one["id"] for one in self.body["value"]]


@dataclass
class Graph:
    """The service under test. Tokens are JSON: what a verified token's claims would be."""

    world: World
    service: GraphService
    server: TestServer
    session: ClientSession
    traffic: list[dict[str, Any]] = field(default_factory=list)

    def token(self, tenant: str, permissions: list[str] | None = None, **claims: Any) -> str:
        application = self.world.applications["jml"]
        roles = application.grants.get(tenant, []) if permissions is None else permissions
        default = {"aud": "graph", "tid": self.world.tenants[tenant].id, "roles": roles}
        return json.dumps({**default, "oid": application.object_id(tenant), **claims})

    async def call(
        self,
        method: str,
        tenant: str,
        path: str,
        body: Any = None,
        *,
        permissions: list[str] | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> Reply:
        bearer = self.token(tenant, permissions) if token is None else token
        sent = {"Authorization": f"Bearer {bearer}", **(headers or {})}
        url = path if path.startswith("http") else f"{self.server.make_url('/v1.0')}{path}"
        async with self.session.request(method, url, json=body, headers=sent) as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            return Reply(response.status, json.loads(text) if is_json else text, response.headers)

    async def raw(self, method: str, path: str, token: str, body: bytes) -> Reply:
        """A request whose body is sent as it is."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        url = f"{self.server.make_url('/v1.0')}{path}"
        async with self.session.request(method, url, data=BytesIO(body), headers=headers) as response:
            return Reply(response.status, await response.json(), response.headers)

    async def get(self, tenant: str, path: str, **options: Any) -> Reply:
        return await self.call("GET", tenant, path, **options)

    async def post(self, tenant: str, path: str, body: Any = None, **options: Any) -> Reply:
        return await self.call("POST", tenant, path, body, **options)

    async def patch(self, tenant: str, path: str, body: Any, **options: Any) -> Reply:
        return await self.call("PATCH", tenant, path, body, **options)

    async def delete(self, tenant: str, path: str, **options: Any) -> Reply:
        return await self.call("DELETE", tenant, path, **options)

    async def batch(self, tenant: str, requests: list[dict[str, Any]], **options: Any) -> Reply:
        return await self.post(tenant, "/$batch", {"requests": requests}, **options)

    def id(self, tenant: str, kind: str, name: str) -> str:
        """The id of a user or group by display name."""
        objects = self.service.state()[tenant][kind]
        return str(next(one["id"] for one in objects if one["displayName"] == name))


def claims_of(token: str) -> dict[str, Any]:
    """Stands in for Entra's verification: a token is the JSON of its claims."""
    try:
        claims: dict[str, Any] = json.loads(token)
    except ValueError as error:
        raise TokenRefused("IDX14100: JWT is not well formed.") from error
    return claims


async def serve(data: dict[str, Any] | World, session: ClientSession) -> Graph:
    """A served world."""
    world = data if isinstance(data, World) else parse_world(data, GRANTS)
    traffic: list[dict[str, Any]] = []
    service = GraphService(world, claims_of, traffic.append, FaultBoard())
    service.audiences.add("graph")
    server = TestServer(service.application())
    await server.start_server()
    return Graph(world, service, server, session, traffic)
