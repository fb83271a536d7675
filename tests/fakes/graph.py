"""Graph of one tenant through the sandbox's engine, in process: no HTTP, no tokens, the same rules."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

from sandbox.faults import Fault, FaultBoard
from sandbox.graph import seed
from sandbox.graph.calls import Answer, Asked, Caller
from sandbox.graph.directory import Directory
from sandbox.graph.engine import Ids, Tenancy, answer
from sandbox.graph.state import state_of
from sandbox.graph.throttle import Throttle
from sandbox.world import World
from shared.adapters.graph import LONGEST_WAIT
from shared.adapters.retry import patiently
from shared.errors import Denied, Refused
from shared.pacer import Pacer
from shared.ports import Call, Reply
from shared.quota import DOCUMENTED, Quota
from shared.replies import LEFT_OUT, TRANSIENT, expect
from tests.fakes.clock import FakeClock
from tests.fakes.wire import Wire

ORIGIN = "https://graph.sandbox"
MOST_IN_BATCH = 20


def tenancy_of(world: World, name: str, clock: FakeClock) -> Tenancy:
    """A tenant of the world, seeded, whose time is the clock's."""
    with patch.object(seed, "Directory", partial(Directory, now=clock.seconds)):
        directory = seed.seeded(world, name)
    users = directory["users"].rows
    throttle = Throttle(world.settings, lambda: len(users), directory.now)
    return Tenancy(directory, throttle, world.settings.delivery_ms / 1000)


class SandboxGraph:
    """`calls` keeps every call that was sent, retries too; `requests` counts HTTP requests as the adapter makes them.

    `budget`: seconds that a call may spend waiting. `quota`: what the app takes for the tenant's; `signed_out` refuses
    every sign-in.
    """

    def __init__(
        self,
        world: World,
        name: str,
        clock: FakeClock,
        *,
        wire: Wire | None = None,
        budget: float = 0.0,
        quota: Quota = DOCUMENTED,
    ) -> None:
        application = world.applications["jml"]
        self.name = name
        self.tenancy = tenancy_of(world, name, clock)
        self.caller = Caller(application.object_id(name), frozenset(application.grants.get(name, ())))
        self.faults = FaultBoard()
        self.calls: list[Call] = []
        self.requests = 0
        self.signed_out = False
        self._clock = clock
        self._wire = wire or Wire()
        self._budget = budget
        self._pacer = Pacer(clock, quota)

    @property
    def state(self) -> dict[str, Any]:
        """The tenant as last written, as the sandbox's control API shows it."""
        return state_of(self.tenancy.directory)

    def room(self, writes: int, *, again: bool) -> float:
        return self._pacer.room(writes, again=again)

    async def send(self, calls: Sequence[Call], *, in_order: bool = False, urgent: bool = False) -> list[Reply]:
        if in_order and len(calls) > MOST_IN_BATCH:
            raise ValueError(f"at most {MOST_IN_BATCH} calls go out in one order")
        self.requests += -(-len(calls) // MOST_IN_BATCH)
        replies: list[Reply] = []
        for call in calls:
            if in_order and replies and not replies[-1].ok:
                replies.append(Reply(LEFT_OUT, {"error": {"code": "FailedDependency", "message": ""}}))
            else:
                replies.append(await self._patiently(call, urgent=urgent))
        return replies

    async def follow(self, reply: Reply, *, urgent: bool = False) -> list[Mapping[str, Any]]:
        body = expect(reply, "a page", f"the permission to read it in tenant {self.name}")
        items = list(body["value"])
        while (link := body.get("@odata.nextLink")) is not None:
            body = await self._page(_below_origin(link), urgent=urgent)
            items += body["value"]
        return items

    async def pages(self, path: str, *, urgent: bool = False) -> AsyncIterator[list[Mapping[str, Any]]]:
        following: str | None = path
        while following is not None:
            body = await self._page(following, urgent=urgent)
            yield list(body["value"])
            link = body.get("@odata.nextLink")
            following = None if link is None else _below_origin(link)

    async def _page(self, path: str, *, urgent: bool) -> Mapping[str, Any]:
        [reply] = await self.send([Call("GET", path)], urgent=urgent)
        return expect(reply, path.split("?", maxsplit=1)[0], f"the permission to read it in tenant {self.name}")

    async def _patiently(self, call: Call, *, urgent: bool) -> Reply:
        reply, until = Reply(0), self._clock.now() + timedelta(seconds=self._budget)

        async def request() -> list[Reply]:
            return [await self._once(call)]

        async def attempt() -> float | None:
            nonlocal reply
            [reply] = await self._pacer.send([call], request, urgent=urgent, until=until)
            return reply.retry_after if reply.status in TRANSIENT else None

        await patiently(attempt, self._budget, self._clock)
        return reply

    async def _once(self, call: Call) -> Reply:
        await asyncio.sleep(0)  # where the real one waits for the network, others go on
        if self.signed_out:
            raise Denied(f"tenant {self.name}: sign-in was refused", "the app's consent there")
        self.calls.append(call)
        path, _, query = call.path.strip("/").replace(" ", "%20").partition("?")
        fault = self.faults.take(self.name, call.method, f"/{path}")
        self._wire.touch(f"before {call.method} {path}")
        reply = _faulted(fault) or self._act(Asked(call.method, path, query, {}, _json(call.body), ORIGIN))
        self._wire.touch(f"after {call.method} {path}")
        lost = fault is not None and fault.reset_connection is not False
        return Reply(0) if lost else reply

    def _act(self, asked: Asked) -> Reply:
        ids = Ids.of({})
        return _reply(answer(self.tenancy, self.caller, asked, ids), ids.request)


def _faulted(fault: Fault | None) -> Reply | None:
    """The reply that the fault orders in the server's place; None when the server acts."""
    if fault is None:
        return None
    if fault.status is not None:
        body = fault.body if fault.body is not None else {"error": {"code": "Ordered", "message": "A fault."}}
        return _reply(Answer(fault.status, body, fault.headers), "ordered")
    return Reply(0) if fault.reset_connection in (True, "before") else None


def _reply(found: Answer, request: str) -> Reply:
    body = _json(found.body)
    headers = {name.lower(): value for name, value in found.headers.items()}
    share = headers.get("x-ms-throttle-limit-percentage")
    return Reply(
        found.status,
        body if isinstance(body, dict) else {},
        request,
        min(float(headers.get("retry-after", 0)), LONGEST_WAIT),
        float(headers["x-ms-resource-unit"]) if "x-ms-resource-unit" in headers else None,
        None if share is None else float(share),
    )


def _json(body: Any) -> Any:
    """A copy, as JSON carries it."""
    return None if body is None else json.loads(json.dumps(body))


def _below_origin(link: str) -> str:
    base = f"{ORIGIN}/v1.0"
    if not link.startswith(f"{base}/"):
        raise Refused(f"a next link leads away from {base}")
    return link.removeprefix(base)
