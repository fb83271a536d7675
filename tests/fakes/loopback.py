"""The real Graph adapter over the sandbox's engine, without a socket: HTTP ends in a transport that can misbehave."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import httpx

from sandbox.errors import GraphRefusal
from sandbox.graph.batch import LOST, batch
from sandbox.graph.calls import Answer, Asked
from sandbox.graph.engine import Ids, answer, refused
from sandbox.graph.refusals import refuse
from shared.adapters.graph import GraphTenant
from shared.quota import DOCUMENTED, Quota
from tests.contract.credentials import Signed
from tests.fakes.graph import ORIGIN
from tests.fakes.stage import Stage

Body = Mapping[str, Any]
Hits = Callable[[str, str, Body], bool]
"""Whether a call (method, path below the version, body) is meant."""


@dataclass(frozen=True)
class Trouble:
    """What becomes of a call that is meant. `acts`: the server does first what it was asked.

    `answer` takes the place of the call's own (LOST: a batch's reply leaves it out). `cuts` ends the whole request
    that carries it, `garbles` is the content of that request's answer.
    """

    acts: bool
    answer: Answer | None = None
    cuts: type[httpx.TransportError] | None = None
    garbles: bytes | None = None


@dataclass
class Loopback(httpx.AsyncBaseTransport):
    """`times`: how many calls the trouble has left to befall (None: all)."""

    stage: Stage
    trouble: Trouble | None = None
    hits: Hits = lambda *_: False
    times: int | None = None
    acted: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of every call that the server answered itself."""

    def order(self, trouble: Trouble, hits: Hits, times: int | None = None) -> None:
        self.trouble, self.hits, self.times = trouble, hits, times

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raw = await request.aread()
        path, _, query = request.url.raw_path.decode().removeprefix("/v1.0/").partition("?")
        asked = Asked(request.method, path, query, dict(request.headers), json.loads(raw) if raw else None, ORIGIN)
        befallen: list[Trouble] = []
        reply = await self._reply(asked, befallen)
        cut = next((one.cuts for one in befallen if one.cuts), None)
        if cut is None and reply is LOST:
            cut = httpx.RemoteProtocolError
        if cut is not None:
            raise cut("ordered by the test", request=request)
        content = next((one.garbles for one in befallen if one.garbles is not None), None)
        if content is None:
            content = b"" if reply.body is None else json.dumps(reply.body).encode()
        return httpx.Response(reply.status, headers=dict(reply.headers), content=content, request=request)

    async def _reply(self, asked: Asked, befallen: list[Trouble]) -> Answer:
        async def respond(one: Asked) -> Answer:
            trouble = self._befalls(one)
            if trouble is None:
                return self._act(one)
            befallen.append(trouble)
            own = self._act(one) if trouble.acts else Answer(204)
            return trouble.answer or own

        whole = self._befalls(asked) if asked.path == "$batch" else None
        if whole is not None:
            return whole.answer or LOST
        if asked.path != "$batch":
            return await respond(asked)
        ids = Ids.of({})
        try:
            return await batch(
                asked.body, asked, respond, lambda on: refused(refuse("batch-dependency-failed", on=on), ids)
            )
        except GraphRefusal as refusal:
            return refused(refusal, ids)

    def _befalls(self, one: Asked) -> Trouble | None:
        if self.times == 0 or not self.hits(one.method, f"/{one.path}", one.body or {}):
            return None
        if self.times is not None:
            self.times -= 1
        return self.trouble

    def _act(self, one: Asked) -> Answer:
        self.acted.append((one.method, f"/{one.path}"))
        return answer(self.stage.mssp.tenancy, self.stage.mssp.caller, one, Ids.of({}))


def over_loopback(
    stage: Stage, budget: float, *, loopback: Loopback | None = None, quota: Quota = DOCUMENTED
) -> Loopback:
    """Put the adapter in the place of the stage's MSSP Graph: the same tenant, the same clock."""
    loopback = loopback or Loopback(stage)
    tenant = stage.world.tenants["mssp"].id
    with patch("shared.adapters.graph.httpx.AsyncHTTPTransport", lambda **_: loopback):
        adapter = GraphTenant(tenant, ORIGIN, Signed(ORIGIN, tenant), budget, stage.clock, quota=quota)
    stage.graphs["mssp"] = adapter  # type: ignore[assignment]
    return loopback
