"""$batch: up to 20 requests in one, each answered, throttled and faulted by itself.

Replies come in another order than the requests, the same for the same ids: nobody is to rely on it.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from sandbox.graph.calls import Answer, Asked
from sandbox.graph.refusals import refuse
from sandbox.graph.refusals_protocol import MAX_BATCH
from sandbox.graph.store import Row

Respond: TypeAlias = Callable[[Asked], Awaitable[Answer]]
Refuse: TypeAlias = Callable[[str], Answer]

LOST = Answer(0)
"""The answer of a request whose connection was cut: a batch's reply leaves it out."""

WITH_BODY = ("POST", "PATCH", "PUT")
METHODS = ("GET", "DELETE", *WITH_BODY)


async def batch(body: Any, outer: Asked, respond: Respond, depend_failed: Refuse) -> Answer:
    """The reply to a batch; a mistake in its form refuses it as a whole."""
    requests = checked(body)
    replies: dict[str, Answer] = {}
    for one in requests:
        failed = next((on for on in one.get("dependsOn") or () if not replies[str(on)].done), None)
        replies[str(one["id"])] = (
            depend_failed(str(failed)) if failed is not None else await respond(_asked(one, outer))
        )
    responses = [_response(key, reply) for key, reply in replies.items() if reply is not LOST]
    random.Random(repr(sorted(replies))).shuffle(responses)  # noqa: S311 - an order, not a secret
    return Answer(200, {"responses": responses})


def checked(body: Any) -> list[Row]:
    """The requests of a batch in an order in which each comes after those it depends on."""
    requests = body.get("requests") if isinstance(body, dict) else None
    if not isinstance(requests, list) or not requests or set(body) != {"requests"}:
        raise refuse("batch-requests", reason="'requests' must be a list that is not empty.")
    if len(requests) > MAX_BATCH:
        raise refuse("batch-too-many")
    seen: set[str] = set()
    for one in requests:
        _check_form(one)
        key = str(one["id"])
        if key in seen:
            raise refuse("batch-ids", id=key)
        for on in one.get("dependsOn") or ():
            if str(on) not in seen:
                raise refuse("batch-depends", id=key, on=on)
        seen.add(key)
    return requests


def _check_form(one: Any) -> None:
    if not isinstance(one, dict) or not all(isinstance(one.get(name), str) for name in ("id", "method", "url")):
        raise refuse("batch-requests", reason="each request needs id, method and url as strings.")
    if not isinstance(one.get("headers") or {}, dict) or not isinstance(one.get("dependsOn") or [], list):
        raise refuse("batch-requests", reason="headers must be an object and dependsOn a list.")
    if unknown := set(one) - {"id", "method", "url", "headers", "body", "dependsOn"}:
        raise refuse("batch-requests", reason=f"unknown property '{min(unknown)}'.")
    if one["method"].upper() not in METHODS or "://" in one["url"].split("?", 1)[0]:
        raise refuse("batch-requests", reason="the method is unknown or the url is not relative.")
    headers = {name.lower() for name in one.get("headers") or {}}
    writes = one["method"].upper() in WITH_BODY or one.get("body") is not None
    if writes and ("content-type" not in headers or one.get("body") is None):
        raise refuse("batch-content-type", id=one["id"])


def _asked(one: Row, outer: Asked) -> Asked:
    path, _, query = one["url"].partition("?")
    headers: Mapping[str, str] = {name.lower(): str(value) for name, value in (one.get("headers") or {}).items()}
    return Asked(one["method"].upper(), path.strip("/"), query, headers, one.get("body"), outer.origin)


def _response(key: str, reply: Answer) -> Row:
    headers = {**reply.headers, "Cache-Control": "no-cache"}
    if reply.body is None:
        return {"id": key, "status": reply.status, "headers": headers}
    return {
        "id": key,
        "status": reply.status,
        "headers": {**headers, "Content-Type": "application/json"},
        "body": reply.body,
    }
