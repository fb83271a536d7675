"""The control API: what a scenario may look at, change and break (docs/sandbox.md).

Plain http on loopback. Errors are `{"error": {"code", "message"}}` with a status; messages name the field.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from sandbox.entra import KEYS
from sandbox.errors import GraphRefusal
from sandbox.functions_process import HostFailed

if TYPE_CHECKING:
    from sandbox.local_cloud import LocalCloud

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MAX_LATENCY_MS = 60_000


class ControlRefused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def control_application(cloud: LocalCloud) -> web.Application:
    app = web.Application(middlewares=[_errors_as_json])
    control = _Control(cloud)
    app.add_routes(
        [
            web.get("/state", control.state),
            web.patch("/tenants/{tenant}/users/{id}", control.change_user),
            web.delete("/tenants/{tenant}/users/{id}", control.delete_user),
            web.get("/faults", control.faults),
            web.post("/faults", control.add_fault),
            web.delete("/faults", control.clear_faults),
            web.post("/latency", control.set_latency),
            web.get("/queues", control.queues),
            web.get("/queues/{name:.+}", control.messages),
            web.post("/timers/{deployment}/{function}", control.run_timer),
            web.post("/hosts/{deployment}/kill", control.kill_host),
            web.post("/hosts/{deployment}/start", control.start_host),
            web.get("/traffic", control.traffic),
            web.post("/tokens", control.issue_token),
        ]
    )
    return app


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ControlRefused as refusal:
        return _error(refusal.status, refusal.code, str(refusal))
    except HostFailed as failure:
        return _error(500, "HostFailed", f"{failure}; what it said is on standard error")
    except GraphRefusal as refusal:
        return _error(refusal.status, refusal.code, refusal.message)
    except web.HTTPException as refusal:
        text = f"{request.method} {request.path}: {refusal.reason}; see docs/sandbox.md"
        return _error(refusal.status, refusal.reason.replace(" ", ""), text)


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


class _Control:
    def __init__(self, cloud: LocalCloud) -> None:
        self._cloud = cloud

    async def state(self, _: web.Request) -> web.Response:
        return web.json_response({"tenants": self._cloud.graph.state()})

    async def change_user(self, request: web.Request) -> web.Response:
        tenant, user = self._tenant(request.match_info["tenant"]), request.match_info["id"]
        self._cloud.graph.patch_user(tenant, user, await _body(request))
        return web.Response(status=204)

    async def delete_user(self, request: web.Request) -> web.Response:
        tenant, user = self._tenant(request.match_info["tenant"]), request.match_info["id"]
        self._cloud.graph.delete_user(tenant, user)
        return web.Response(status=204)

    async def faults(self, _: web.Request) -> web.Response:
        return web.json_response(self._cloud.graph.faults.orders())

    async def add_fault(self, request: web.Request) -> web.Response:
        fault = await _body(request)
        if fault.get("tenant") is not None:
            fault["tenant"] = self._tenant(fault["tenant"])
        try:
            self._cloud.graph.faults.add(fault)
        except ValueError as wrong:
            raise ControlRefused(400, "BadRequest", str(wrong)) from wrong
        return web.Response(status=204)

    async def clear_faults(self, _: web.Request) -> web.Response:
        self._cloud.graph.faults.clear()
        return web.Response(status=204)

    async def set_latency(self, request: web.Request) -> web.Response:
        milliseconds = (await _body(request)).get("ms")
        if type(milliseconds) is not int or not 0 <= milliseconds <= MAX_LATENCY_MS:
            raise ControlRefused(400, "BadRequest", f"ms: expected a whole number from 0 to {MAX_LATENCY_MS}")
        self._cloud.graph.latency_ms = milliseconds
        return web.Response(status=204)

    async def queues(self, request: web.Request) -> web.Response:
        broker = self._cloud.brokers[self._deployment(request.query.get("deployment"))]
        return web.json_response(await asyncio.to_thread(broker.counts))

    async def messages(self, request: web.Request) -> web.Response:
        broker = self._cloud.brokers[self._deployment(request.query.get("deployment"))]
        name = request.match_info["name"]
        try:
            return web.json_response(await asyncio.to_thread(broker.peek, name))
        except KeyError as unknown:
            raise ControlRefused(404, "NotFound", f"no queue {name}") from unknown

    async def run_timer(self, request: web.Request) -> web.Response:
        """Answers when the timer has ended: 200, or 500 with what it raised."""
        process = self._cloud.functions[self._deployment(request.match_info["deployment"])]
        url = f"{process.url}/admin/functions/{request.match_info['function']}"
        try:
            async with (
                ClientSession(timeout=ClientTimeout(total=None)) as http,
                http.post(url, json={}) as reply,
            ):
                answer = await reply.json()
        except (ClientError, OSError) as failure:
            message = f"the Functions process of {process.name} did not answer: {type(failure).__name__}"
            raise ControlRefused(503, "ServiceUnavailable", message) from failure
        if reply.status >= 400:
            code = "NotFound" if reply.status == 404 else "FunctionFailed"
            raise ControlRefused(reply.status, code, answer["error"])
        return web.json_response(answer)

    async def kill_host(self, request: web.Request) -> web.Response:
        process = self._cloud.functions[self._deployment(request.match_info["deployment"])]
        if not process.running:
            raise ControlRefused(409, "Conflict", f"the Functions process of {process.name} is not running")
        await process.kill()
        return web.json_response({"deployment": process.name, "status": "killed"})

    async def start_host(self, request: web.Request) -> web.Response:
        process = self._cloud.functions[self._deployment(request.match_info["deployment"])]
        if process.running:
            raise ControlRefused(409, "Conflict", f"the Functions process of {process.name} is running")
        await process.start()
        return web.json_response({"deployment": process.name, "status": "running", "url": process.url})

    async def traffic(self, _: web.Request) -> web.Response:
        lines = await asyncio.to_thread(self._recorded)
        return web.json_response(text="[" + ",".join(lines) + "]")

    async def issue_token(self, request: web.Request) -> web.Response:
        body = await _body(request)
        tenant = self._tenant(body.get("tenant"))
        claims, key = body.get("claims", {}), body.get("key", "good")
        if not isinstance(claims, dict):
            raise ControlRefused(400, "BadRequest", "claims: expected an object")
        if key not in KEYS:
            raise ControlRefused(400, "BadRequest", f"key: expected one of {', '.join(KEYS)}")
        return web.json_response({"token": self._cloud.entra.issue(tenant, claims, key)})

    def _recorded(self) -> list[str]:
        """JSON escapes line feeds but not the other line ends that `splitlines` knows."""
        return [line for line in self._cloud.record.read_text(encoding="utf-8").split("\n") if line]

    def _tenant(self, name: object) -> str:
        """A tenant by its name in the world; its id is taken too."""
        for known, tenant in self._cloud.world.tenants.items():
            if name in (known, tenant.id):
                return known
        known_names = ", ".join(self._cloud.world.tenants)
        if not isinstance(name, str):
            raise ControlRefused(400, "BadRequest", f"tenant: expected one of {known_names}")
        raise ControlRefused(404, "NotFound", f"no tenant {name}; there are: {known_names}")

    def _deployment(self, name: str | None) -> str:
        names = [deployment.name for deployment in self._cloud.deployments]
        if name is None:
            return names[0]
        if name not in names:
            raise ControlRefused(404, "NotFound", f"no deployment {name}; there are: {', '.join(names)}")
        return name


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except (json.JSONDecodeError, UnicodeDecodeError) as malformed:
        raise ControlRefused(400, "BadRequest", f"the body is not JSON: {malformed}") from malformed
    if not isinstance(body, dict):
        raise ControlRefused(400, "BadRequest", "the body is not a JSON object")
    return body
