"""The Graph adapter against answers that only HTTP can give."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from azure.core.credentials import AccessToken

from shared.adapters.graph import LONGEST_WAIT, GraphTenant
from shared.errors import Transient
from shared.pacer import Pacer
from shared.ports import Call
from tests.contract.credentials import Signed
from tests.contract.graphs import Served, calls_of, over_http
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.asyncio(loop_scope="module")
GROUPS = "/groups?$select=id"


@pytest_asyncio.fixture(loop_scope="module")
async def tenant(served: Served) -> AsyncIterator[GraphTenant]:
    """The adapter, which retries nothing."""
    graph, _ = over_http(served, FakeClock(), budget=0.0)
    yield graph
    await graph.close()


TWO = [Call("GET", GROUPS), Call("GET", "/users?$select=id&$top=1")]


@pytest.mark.parametrize("status", [400, 413, 415])
async def test_a_batch_that_is_refused_whole_goes_out_call_by_call(
    served: Served, tenant: GraphTenant, status: int
) -> None:
    """One bad part must not lose the others."""
    served.service.faults.add({"path": r"^/\$batch", "status": status})
    assert [reply.status for reply in await tenant.send(TWO)] == [200, 200]


@pytest.mark.parametrize("status", [429, 500, 503, 401, 403])
async def test_what_befalls_a_whole_batch_befalls_each_of_itscalls_of(
    served: Served, tenant: GraphTenant, status: int
) -> None:
    served.service.faults.add({"path": r"^/\$batch", "status": status})
    assert [reply.status for reply in await tenant.send(TWO)] == [status, status]


ODD_BATCHES: dict[str, Any] = {
    "no answers": {"responses": []},
    "answers of others": {"responses": [{"id": "7", "status": 200, "body": {}}]},
    "no list": {"responses": None},
    "a text": {"responses": "none"},
    "answers that are no objects": {"responses": [1, None, "x"]},
    "answers without a status": {"responses": [{"id": "0"}, {"id": "1", "status": None}]},
    "a status that is no number": {"responses": [{"id": "0", "status": "fine"}, {"id": "1", "status": []}]},
    "an object that is something else": {"value": []},
    "a list": [],
    "text": "<html>busy</html>",
}


@pytest.mark.parametrize("kind", ODD_BATCHES)
async def test_what_a_batch_does_not_answer_is_status_0(served: Served, tenant: GraphTenant, kind: str) -> None:
    served.service.faults.add({"path": r"^/\$batch", "status": 200, "body": ODD_BATCHES[kind]})
    assert [reply.status for reply in await tenant.send(TWO)] == [0, 0]


async def test_an_answer_that_is_missing_is_asked_for_again_alone(served: Served) -> None:
    graph, _ = over_http(served, FakeClock())
    half = {"responses": [{"id": "0", "status": 200, "body": {"value": []}, "headers": None}]}
    served.service.faults.add({"path": r"^/\$batch", "status": 200, "body": half, "times": 1})
    assert [reply.status for reply in await graph.send(TWO)] == [200, 200]
    assert calls_of(served.traffic[-1]) == ["GET /users?$select=id&$top=1"]
    await graph.close()


@pytest.mark.parametrize("body", ["{", "<html>", "[1]", '"text"', "\ufeff"])
async def test_an_answer_that_cannot_be_read_is_status_0(served: Served, tenant: GraphTenant, body: str) -> None:
    served.service.faults.add({"path": "groups", "status": 200, "body": body})
    [reply] = await tenant.send([Call("GET", GROUPS)])
    assert reply.status == 0


@pytest.mark.parametrize("body", [{}, {"value": None}, {"value": "x"}, {"value": {"id": "1"}}])
async def test_a_page_without_items_is_not_an_empty_page(served: Served, tenant: GraphTenant, body: Any) -> None:
    served.service.faults.add({"path": "groups", "status": 200, "body": body})
    [reply] = await tenant.send([Call("GET", GROUPS)])
    with pytest.raises(Transient):
        await tenant.follow(reply)
    with pytest.raises(Transient):
        await anext(tenant.pages(GROUPS))


@pytest.mark.parametrize("asked", ["soon", "-5", "", "Wed, 21 Oct 2026 07:28:00 GMT", "nan"])
async def test_a_retry_after_that_cannot_be_read_asks_for_nothing(
    served: Served, tenant: GraphTenant, asked: str
) -> None:
    served.service.faults.add({"path": "groups", "status": 429, "headers": {"Retry-After": asked}})
    [reply] = await tenant.send([Call("GET", GROUPS)])
    assert reply.retry_after == 0.0


@pytest.mark.parametrize("asked", ["3601", "99999999999999", "1e300"])
async def test_a_retry_after_beyond_reason_is_cut(served: Served, tenant: GraphTenant, asked: str) -> None:
    """No run is parked for a year, and no clock overflows."""
    served.service.faults.add({"path": "groups", "status": 429, "headers": {"Retry-After": asked}})
    [reply] = await tenant.send([Call("GET", GROUPS)])
    assert reply.retry_after == LONGEST_WAIT


async def test_what_other_batches_were_answered_outlives_a_sign_in_that_one_of_them_was_refused(
    served: Served,
) -> None:
    graph, credential = over_http(served, FakeClock(), budget=0.0)
    admit, asked = credential.get_token, iter([True, False])

    async def token(*scopes: str, **options: Any) -> AccessToken:
        credential.refuses = not next(asked)
        return await admit(*scopes, **options)

    credential.get_token = token  # type: ignore[method-assign]
    replies = await graph.send([TWO[0]] * 21)
    assert sorted(Counter(reply.status for reply in replies).items()) == [(200, 20), (401, 1)]
    await graph.close()


@pytest.mark.parametrize("urgent", [True, False])
async def test_pages_wait_as_urgently_as_they_are_asked_for(
    served: Served, tenant: GraphTenant, monkeypatch: pytest.MonkeyPatch, urgent: bool
) -> None:
    seen: list[bool] = []
    send = Pacer.send

    async def watched(pacer: Pacer, *args: Any, **options: Any) -> Any:
        seen.append(options["urgent"])
        return await send(pacer, *args, **options)

    [first] = await tenant.send([Call("GET", GROUPS)])
    monkeypatch.setattr(Pacer, "send", watched)
    await tenant.follow(first, urgent=urgent)
    _ = [page async for page in tenant.pages(GROUPS, urgent=urgent)]
    assert len(seen) > 2
    assert set(seen) == {urgent}


@pytest.mark.usefixtures("trust")
async def test_a_tenant_that_cannot_be_reached_is_status_0(nowhere: str) -> None:
    graph = GraphTenant("t", nowhere, Signed(nowhere), 0.0, FakeClock())
    assert [reply.status for reply in await graph.send(TWO)] == [0, 0]
    await graph.close()
