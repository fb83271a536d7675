"""One request, start to end, without HTTP: route, quota, query, permissions, body, refusals, operation."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from sandbox.errors import GraphRefusal
from sandbox.graph.bodies import check_body
from sandbox.graph.calls import Answer, Asked, Call, Caller
from sandbox.graph.directory import Directory
from sandbox.graph.permissions import PERMISSIONS, WRITE_PROPERTY, allowed
from sandbox.graph.query import DIRECTORY_TYPES, Query, options_of, understood
from sandbox.graph.refusals import guard, refuse
from sandbox.graph.routes import Route, matched
from sandbox.graph.throttle import Throttle, cost_of

_KEY = re.compile(r"(?P<set>\w+)\('(?P<key>(?:[^']|'')*)'\)")


@dataclass(frozen=True)
class Ids:
    """What a reply is traced by."""

    request: str
    client: str

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Ids:
        request = str(uuid.uuid4())
        return cls(request, headers.get("client-request-id") or request)


@dataclass(frozen=True)
class Tenancy:
    """A tenant as the engine serves it."""

    directory: Directory
    throttle: Throttle
    delivery_s: float


def error_body(refusal: GraphRefusal, ids: Ids) -> dict[str, Any]:
    """The body of an error, as Graph writes it."""
    inner = {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        "request-id": ids.request,
        "client-request-id": ids.client,
    }
    return {"error": {"code": refusal.code, "message": refusal.message, "innerError": inner}}


def refused(refusal: GraphRefusal, ids: Ids, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(refusal.status, error_body(refusal, ids), headers or {})


def answer(tenancy: Tenancy, caller: Caller, asked: Asked, ids: Ids) -> Answer:
    """The reply to one request that is no batch."""
    tenancy.directory.catch_up()
    try:
        route, params = matched(asked.method, segments_of(asked.path))
        reached, headers = _spend(tenancy.throttle, caller, route, asked)
        if reached:
            return refused(refuse("throttled", limit=reached), ids, headers)
    except GraphRefusal as refusal:
        return refused(refusal, ids)
    try:
        call = _understood(tenancy, caller, asked, route, params)
        guard(route.key, call)
        reply = route.run(call)
    except GraphRefusal as refusal:
        return refused(refusal, ids, headers)
    return replace(reply, headers={**headers, **reply.headers})


def segments_of(path: str) -> tuple[str, ...]:
    """A path's segments, percent-decoded one by one, with set('key') as two."""
    found: list[str] = []
    for raw in path.strip("/").split("/"):
        segment = unquote(raw)
        match = _KEY.fullmatch(segment)
        found += [match["set"], match["key"].replace("''", "'")] if match else [segment]
    return tuple(found)


def _spend(throttle: Throttle, caller: Caller, route: Route, asked: Asked) -> tuple[str, Mapping[str, str]]:
    cost = cost_of(route.cost, options_of(asked.query))
    return throttle.spend(caller.object_id, cost, writes=route.writes)


def _understood(tenancy: Tenancy, caller: Caller, asked: Asked, route: Route, params: Mapping[str, str]) -> Call:
    eventual = asked.headers.get("consistencylevel", "").lower() == "eventual"
    query = understood(asked.query, route.entity, route.options, eventual=eventual)
    _check_cast(route, query, eventual=eventual)
    body = asked.body if isinstance(asked.body, dict) else {}
    _check_permissions(route, caller, body)
    _check_body(route, asked.body)
    return Call(tenancy.directory, caller, asked, params, query, body, route.entity, delivery_s=tenancy.delivery_s)


def _check_cast(route: Route, query: Query, *, eventual: bool) -> None:
    """Casts and /$count of directory objects are advanced queries."""
    counted = query.count or route.template.endswith("/$count")
    if route.cast and route.entity in DIRECTORY_TYPES and not (eventual and counted):
        raise refuse("advanced-query")


def _check_permissions(route: Route, caller: Caller, body: Mapping[str, Any]) -> None:
    general = PERMISSIONS[route.permission_key]
    names = body if route.method == "PATCH" and body else [""]
    for name in names:
        if not allowed(WRITE_PROPERTY.get((route.entity, name), general), caller.permissions):
            raise refuse("permission")


def _check_body(route: Route, body: Any) -> None:
    if not route.body:
        if body not in (None, {}):
            raise refuse("body-unexpected")
        return
    check_body(body, route.body_type, writable=route.writable)
    route.require(body)
