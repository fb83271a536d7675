"""Graph over HTTP for every tenant of a world: tokens, batches, faults, latency, record."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from sandbox.errors import GraphRefusal, TokenRefused
from sandbox.faults import Fault, FaultBoard
from sandbox.graph.batch import LOST, batch
from sandbox.graph.bodies import check_body
from sandbox.graph.calls import Answer, Asked, Caller
from sandbox.graph.directory import Directory
from sandbox.graph.engine import Ids, Tenancy, answer, refused
from sandbox.graph.people import soft_delete, write_user
from sandbox.graph.refusals import refuse
from sandbox.graph.schema import entity_type
from sandbox.graph.seed import seeded
from sandbox.graph.state import state_of
from sandbox.graph.store import Row
from sandbox.graph.throttle import Throttle
from sandbox.world import World

MAX_BODY = 4 * 1024 * 1024
_STATUS_CODES = {
    429: "TooManyRequests",
    500: "InternalServerError",
    502: "BadGateway",
    503: "ServiceUnavailable",
    504: "GatewayTimeout",
}


class GraphService:
    """Microsoft Graph v1.0 for the tenants of a world."""

    def __init__(
        self,
        world: World,
        verify_token: Callable[[str], dict[str, Any]],
        record: Callable[[dict[str, Any]], None],
        faults: FaultBoard,
    ) -> None:
        self.world = world
        self.verify_token = verify_token
        self.record = record
        self.faults = faults
        self.latency_ms = 0
        self.audiences: set[str] = set()
        self._tenancies = {name: self._tenancy(name) for name in world.tenants}

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{tail:.*}", self._serve)
        return app

    def state(self) -> dict[str, Any]:
        """Every tenant as it is now, replication delay or not."""
        return {name: state_of(tenancy.directory) for name, tenancy in self._tenancies.items()}

    def patch_user(self, tenant_name: str, user_id: str, body: dict[str, Any]) -> None:
        """A change that HR makes; as strict as Graph about names and values, and free of permissions."""
        directory, row = self._user(tenant_name, user_id)
        check_body(body, entity_type("user"))
        write_user(directory, row, body)

    def delete_user(self, tenant_name: str, user_id: str) -> None:
        """A person whom HR deletes: to the deleted items, as in Graph."""
        soft_delete(*self._user(tenant_name, user_id))

    def _user(self, tenant_name: str, user_id: str) -> tuple[Directory, Row]:
        if tenant_name not in self._tenancies:
            raise refuse("no-such-resource", id=tenant_name)
        directory = self._tenancies[tenant_name].directory
        row = directory["users"].get(directory.user_key(user_id))
        if row is None:
            raise refuse("no-such-object", id=user_id)
        return directory, row

    def _tenancy(self, name: str) -> Tenancy:
        settings = self.world.settings
        directory = seeded(self.world, name)
        users = directory["users"].rows
        throttle = Throttle(settings, lambda: len(users), directory.now)
        return Tenancy(directory, throttle, settings.delivery_ms / 1000)

    # -- one request ----------------------------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        arrived = _now()
        if self.latency_ms:
            await asyncio.sleep(self.latency_ms / 1000)
        asked = await _asked(request)
        exchange = await self._exchange(asked, Ids.of(asked.headers))
        if not exchange.cut_before:
            self._note(f"{asked.origin}{request.raw_path}", asked, exchange, arrived)
        if exchange.cut and request.transport is not None:
            request.transport.abort()
            return web.Response()
        return _response(exchange.reply, exchange.ids)

    async def _exchange(self, asked: Asked, ids: Ids) -> Exchange:
        try:
            tenant, caller = self._caller(asked.headers)
            path = _local_path(asked.path)
        except GraphRefusal as refusal:
            return Exchange(None, refused(refusal, ids), ids)
        fault = self.faults.take(tenant, asked.method, f"/{unquote(path)}")
        local = replace(asked, path=path)

        async def act() -> Answer:
            return await self._act(tenant, caller, local, ids)

        return Exchange(tenant, await self._faulted(fault, act, ids), ids, fault)

    async def _act(self, tenant: str, caller: Caller, asked: Asked, ids: Ids) -> Answer:
        tenancy = self._tenancies[tenant]
        if isinstance(asked.body, GraphRefusal):
            return refused(asked.body, ids)
        if unquote(asked.path) != "$batch":
            return answer(tenancy, caller, asked, ids)

        async def respond(inner: Asked) -> Answer:
            fault = self.faults.take(tenant, inner.method, f"/{unquote(inner.path)}")

            async def act() -> Answer:
                return answer(tenancy, caller, inner, ids)

            reply = await self._faulted(fault, act, ids)
            return LOST if fault is not None and fault.reset_connection else reply

        def depend_failed(on: str) -> Answer:
            return refused(refuse("batch-dependency-failed", on=on), ids)

        try:
            if asked.method != "POST":
                raise refuse("method")
            return await batch(asked.body, asked, respond, depend_failed)
        except GraphRefusal as refusal:
            return refused(refusal, ids)

    async def _faulted(self, fault: Fault | None, act: Callable[[], Awaitable[Answer]], ids: Ids) -> Answer:
        """The reply with a fault's delay, status or cut; the operation is done unless the fault stands before it."""
        if fault is None:
            return await act()
        if fault.delay_ms:
            await self.faults.hold(fault)
        if fault.status is not None:
            return _ordered(fault, ids)
        if fault.reset_connection in (True, "before"):
            return LOST
        reply: Answer = await act()
        return replace(reply, headers={**reply.headers, **fault.headers})

    def _caller(self, headers: Mapping[str, str]) -> tuple[str, Caller]:
        """The tenant and application that a verified token speaks for."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise refuse("token-missing")
        try:
            claims = self.verify_token(token)
        except TokenRefused as error:
            raise refuse("token-refused", reason=error.reason) from error
        if claims.get("aud") not in self.audiences:
            raise refuse("token-audience")
        tenant = self.world.tenant_by_id(str(claims.get("tid")))
        if tenant is None:
            raise refuse("token-tenant", tenant=claims.get("tid"))
        roles = claims.get("roles") if "scp" not in claims else None
        return tenant, Caller(str(claims.get("oid")), frozenset(roles or ()))

    def _note(self, url: str, asked: Asked, exchange: Exchange, arrived: str) -> None:
        """Record the exchange in the form that the contract checker reads."""
        tenant, reply = exchange.tenant, exchange.reply
        self.record(
            {
                "arrived": arrived,
                "time": _now(),
                "tenant": tenant,
                "cloud": self.world.tenants[tenant].cloud if tenant else "public",
                "method": asked.method,
                "url": url,
                "request": asked.body if isinstance(asked.body, dict | list) else None,
                "status": reply.status,
                "response": reply.body if isinstance(reply.body, dict) else None,
                "request_id": exchange.ids.request,
            }
        )


@dataclass(frozen=True)
class Exchange:
    """A request's tenant, reply and fault. A connection cut before the server acted leaves nothing to record."""

    tenant: str | None
    reply: Answer
    ids: Ids
    fault: Fault | None = None

    @property
    def cut(self) -> bool:
        return self.fault is not None and self.fault.reset_connection is not False

    @property
    def cut_before(self) -> bool:
        return self.fault is not None and self.fault.reset_connection in (True, "before")


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


async def _asked(request: web.Request) -> Asked:
    path, _, query = request.raw_path.partition("?")
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = await _body(request)
    return Asked(request.method, path, query, headers, body, f"{request.scheme}://{request.host}")


async def _body(request: web.Request) -> Any:
    """The JSON body; a refusal in its place where there is none to be read."""
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge:
        return refuse("body-size")
    if not raw:
        return None
    try:
        return json.loads(raw)
    except ValueError:
        return refuse("body-json")


def _local_path(path: str) -> str:
    version, _, rest = path.strip("/").partition("/")
    if version != "v1.0":
        raise refuse("version", version=version)
    return rest


def _ordered(fault: Fault, ids: Ids) -> Answer:
    status = fault.status or 500
    if fault.body is not None or status < 400:
        return Answer(status, fault.body, fault.headers)
    code = _STATUS_CODES.get(status, "UnknownError")
    return refused(GraphRefusal(status, code, "A fault was ordered."), ids, fault.headers)


def _response(reply: Answer, ids: Ids) -> web.Response:
    headers = {**reply.headers, "request-id": ids.request, "client-request-id": ids.client}
    if reply.body is None:
        return web.Response(status=reply.status, headers=headers)
    if isinstance(reply.body, str):
        return web.Response(status=reply.status, headers=headers, text=reply.body)
    return web.json_response(reply.body, status=reply.status, headers=headers)
