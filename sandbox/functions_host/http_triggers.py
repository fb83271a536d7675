"""HTTP triggers: an aiohttp handler that turns requests into the worker's messages and back."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from sandbox.functions_host.bindings import Function
from sandbox.functions_host.routes import Route, find, route
from sandbox.functions_host.worker import InvocationFailed, Worker

BODY_LIMIT = int(os.environ.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT") or 100 * 1024 * 1024)
logger = logging.getLogger("sandbox.functions_host.http")


class HttpTriggers:
    """Function keys are not asked for, as under Core Tools: the app's own door must hold by itself."""

    def __init__(self, worker: Worker, functions: Iterable[Function], prefix: str) -> None:
        self._worker = worker
        served = [one for one in functions if one.kind == "httpTrigger" and not one.disabled]
        self._functions = {one.name: one for one in served}
        self._routes = [_route(one, prefix) for one in self._functions.values()]

    async def answer(self, request: web.Request) -> web.Response:
        found = find(self._routes, request.method, request.rel_url.raw_path)
        if found is None:
            return web.Response(status=404)
        matched, parameters = found
        function = self._functions[matched.function]
        message = self._message(request, parameters, await request.read())
        try:
            value = await self._worker.invoke(
                function, {function.argument: message}, trace_parent=request.headers.get("traceparent")
            )
        except InvocationFailed as failure:
            failure.log(logger, function)
            return web.Response(status=500)
        return _response(value)

    def _message(self, request: web.Request, parameters: Mapping[str, str], body: bytes) -> Any:
        """Bodies go as bytes (the worker's RawHttpBodyBytes); repeated names are joined by commas."""
        protos = self._worker.protos
        return protos.TypedData(
            http=protos.RpcHttp(
                method=request.method,
                url=str(request.url),
                headers=_joined(request.headers.items(), lower=True),
                params=dict(parameters),
                query=_joined(request.query.items()),
                body=protos.TypedData(bytes=body),
            )
        )


def _route(function: Function, prefix: str) -> Route:
    trigger = function.trigger
    methods = [str(getattr(method, "value", method)) for method in trigger.get("methods") or ()]
    return route(function.name, prefix, trigger.get("route") or function.name, methods)


def _joined(pairs: Iterable[tuple[str, str]], *, lower: bool = False) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower() if lower else name
        joined[key] = f"{joined[key]},{value}" if key in joined else value
    return joined


def _response(value: Any) -> web.Response:
    kind = value.WhichOneof("data")
    if kind != "http":
        return web.Response(status=200 if kind else 204, body=_bytes(value))
    reply = value.http
    headers = {name: text for name, text in reply.headers.items() if name.lower() != "content-length"}
    response = web.Response(status=int(reply.status_code or 200), headers=headers, body=_bytes(reply.body))
    for cookie in reply.cookies:
        response.set_cookie(cookie.name, cookie.value, path=cookie.path.value or "/")
    return response


def _bytes(data: Any) -> bytes:
    kind = data.WhichOneof("data")
    if kind is None:
        return b""
    value = getattr(data, kind)
    return value if isinstance(value, bytes) else str(value).encode()
