"""Offboarding as a script does it: list each kind of thing, take each thing away by a call of its own, look no more.

It has the app's client, its connections and its requests; it saves nothing, retries nothing and reads nothing back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jml.gather import user_path
from jml.holdings import READINGS, weigh
from jml.requests import request
from jml.steps import DisableAccount, LeaverStep, MarkAccount, RevokeSessions
from jml.wiring import configuration, connect
from shared.ports import Call, Graph, Reply

MARK = "delete-after 2099-01-01T00:00:00Z"


async def offboard_one_by_one(settings: Mapping[str, str], account: str) -> None:
    """Whatever was refused is asked for once more at the end: the default authentication method is."""
    services, cloud = connect(*configuration(settings))
    graph = services.graph(services.mssp)
    try:
        await _ask(graph, Call("GET", user_path(account)))
        await _carry_out(graph, [DisableAccount(account), RevokeSessions(account)])
        found = {}
        for reading in READINGS:
            reply = await _ask(graph, Call("GET", reading.path.format(id=account)))
            found[reading.name] = await graph.follow(reply)
        removals = sorted(weigh(account, found).removals, key=lambda step: step.key)
        await _carry_out(graph, await _carry_out(graph, removals))
        await _carry_out(
            graph, [MarkAccount(account, services.policy.leaver.retention.mark, "delete-after 2099-01-01")]
        )
    finally:
        await cloud.close()


async def _carry_out(graph: Graph, steps: Sequence[LeaverStep]) -> list[LeaverStep]:
    """One after the other; returns those that were refused."""
    return [step for step in steps if not (await _ask(graph, request(step))).ok]


async def _ask(graph: Graph, call: Call) -> Reply:
    [reply] = await graph.send([call])
    return reply
