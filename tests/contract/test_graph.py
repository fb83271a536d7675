"""What Graph of a tenant is, for the adapter over HTTP and for the one in process alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
import pytest_asyncio

from sandbox.certificates import Certificates
from sandbox.faults import FaultBoard
from sandbox.graph import GraphService
from sandbox.serving import bind, port_of, serve
from shared.adapters.graph import GraphTenant
from shared.errors import Denied, Refused, Transient
from shared.ports import Call, Graph, Reply
from tests.contract.credentials import Signed
from tests.fakes.clock import FakeClock
from tests.fakes.graph import SandboxGraph
from tests.fakes.stage import world_with

pytestmark = pytest.mark.asyncio(loop_scope="module")
BUDGET = 30.0
WORLD = world_with(lambda data: data.update(settings={"page_size": 2}))
GROUPS = "/groups?$select=id"
ELSEWHERE = {"value": [{"id": "1"}], "@odata.nextLink": "https://graph.example.evil/v1.0/users?$skiptoken=x"}


@dataclass
class Subject:
    """The Graph under test of the demo's MSSP tenant, its faults, and how many requests it took."""

    graph: Graph
    faults: FaultBoard
    clock: FakeClock
    requests: Callable[[], int]
    served: Callable[[], list[str]]
    sign_out: Callable[[], None]
    state: Callable[[], dict[str, Any]]

    async def get(self, *paths: str) -> list[Reply]:
        return await self.graph.send([Call("GET", path) for path in paths])

    def user(self, name: str) -> str:
        return next(str(one["id"]) for one in self.state()["users"] if one["displayName"] == name)


def in_process(_: Certificates) -> Subject:
    clock = FakeClock()
    graph = SandboxGraph(WORLD, "mssp", clock, budget=BUDGET)

    def served() -> list[str]:
        return [f"{call.method} {call.path}" for call in graph.calls]

    def sign_out() -> None:
        graph.signed_out = True

    return Subject(graph, graph.faults, clock, lambda: graph.requests, served, sign_out, lambda: graph.state)


@dataclass
class Served:
    """The sandbox's Graph on a TLS listener, and what was asked of it."""

    service: GraphService
    endpoint: str
    traffic: list[dict[str, Any]]


@pytest_asyncio.fixture(loop_scope="module")
async def served(certificates: Certificates, _trust: None) -> AsyncIterator[Served]:
    traffic: list[dict[str, Any]] = []
    service = GraphService(WORLD, claims_of, traffic.append, FaultBoard())
    listener = bind()
    endpoint = f"https://localhost:{port_of(listener)}"
    service.audiences.add(endpoint)
    runner = await serve(service.application(), listener, certificates.server_context())
    yield Served(service, endpoint, traffic)
    await runner.cleanup()


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def over_http(served: Served, clock: FakeClock, budget: float = BUDGET) -> tuple[GraphTenant, Signed]:
    application = WORLD.applications["jml"]
    tenant, object_id = WORLD.tenants["mssp"].id, application.object_id("mssp")
    credential = Signed(served.endpoint, tenant, object_id, application.grants["mssp"])
    return GraphTenant(tenant, served.endpoint, credential, budget, clock), credential


@pytest_asyncio.fixture(loop_scope="module", params=["in process", "over HTTP"])
async def subject(request: pytest.FixtureRequest, served: Served, certificates: Certificates) -> AsyncIterator[Subject]:
    if request.param == "in process":
        yield in_process(certificates)
        return
    clock = FakeClock()
    graph, credential = over_http(served, clock)

    def sign_out() -> None:
        credential.refuses = True

    yield Subject(
        graph,
        served.service.faults,
        clock,
        lambda: len(served.traffic),
        lambda: [call for row in served.traffic for call in _calls(row)],
        sign_out,
        lambda: served.service.state()["mssp"],
    )
    await graph.close()


def _calls(row: dict[str, Any]) -> list[str]:
    path = row["url"].partition("/v1.0")[2]
    if path != "/$batch":
        return [f"{row['method']} {path}"]
    return [f"{one['method']} {one['url']}" for one in row["request"]["requests"]]


# -- replies ----------------------------------------------------------------------------------------------------------


async def test_one_call_is_one_request_and_its_reply(subject: Subject) -> None:
    key = subject.user("soc-4f2a")
    [reply] = await subject.get(f"/users/{key}?$select=id,accountEnabled")
    assert (reply.ok, reply.body["id"], bool(reply.request_id)) == (True, key, True)
    assert subject.requests() == 1


async def test_a_refusal_is_a_reply_with_its_code(subject: Subject) -> None:
    [reply] = await subject.get("/users/00000000-0000-4000-8000-000000000000")
    assert (reply.ok, reply.status, reply.code) == (False, 404, "Request_ResourceNotFound")


async def test_many_calls_go_out_twenty_a_request_and_come_back_in_their_order(subject: Subject) -> None:
    names = ["soc-4f2a", "soc-91c7", "soc-b03d"] * 15
    keys = [subject.user(name) for name in names]
    replies = await subject.get(*(f"/users/{key}?$select=id" for key in keys))
    assert [reply.body["id"] for reply in replies] == keys
    assert subject.requests() == 3


async def test_one_refusal_among_many_is_alone(subject: Subject) -> None:
    replies = await subject.get(GROUPS, "/users/nobody?$select=id", GROUPS)
    assert [reply.status for reply in replies] == [200, 404, 200]


async def test_a_write_without_an_answer_body_is_a_success(subject: Subject) -> None:
    key = subject.user("soc-e60b")
    for calls in ([Call("PATCH", f"/users/{key}", {"employeeId": "x"})], [Call("PATCH", f"/users/{key}", {})] * 2):
        for reply in await subject.graph.send(calls):
            assert (reply.status, dict(reply.body)) == (204, {})


@pytest.mark.parametrize("text", ["O''Brien", "a/b", "x?y", "a%26b", "%E2%98%83", "100%25", "a+b", "%23"])
async def test_odd_characters_of_a_filter_arrive_as_they_are(subject: Subject, text: str) -> None:
    path = f"/users?$filter=employeeId eq '{text}'&$select=id"
    single = await subject.get(path)
    assert [r.status for r in [*single, *await subject.get(path, path)]] == [200, 200, 200]


# -- in order ---------------------------------------------------------------------------------------------------------


async def test_in_order_each_call_waits_for_the_one_before(subject: Subject) -> None:
    key = subject.user("soc-e60b")
    calls = [
        Call("PATCH", f"/users/{key}", {"accountEnabled": False}),
        Call("POST", f"/users/{key}/revokeSignInSessions", {}),
    ]
    assert [reply.status for reply in await subject.graph.send(calls, in_order=True)] == [204, 200]
    assert subject.requests() == 1


async def test_in_order_what_follows_a_refusal_is_left_out(subject: Subject) -> None:
    key = subject.user("soc-e60b")
    calls = [
        Call("PATCH", "/users/nobody", {"accountEnabled": False}),
        Call("PATCH", f"/users/{key}", {"accountEnabled": False}),
        Call("PATCH", f"/users/{key}", {"accountEnabled": False}),
    ]
    assert [reply.status for reply in await subject.graph.send(calls, in_order=True)] == [404, 424, 424]
    assert next(user for user in subject.state()["users"] if user["id"] == key).get("accountEnabled") is not False


async def test_in_order_what_was_left_out_for_a_passing_fault_is_sent_again(subject: Subject) -> None:
    key = subject.user("soc-e60b")
    subject.faults.add({"method": "PATCH", "path": "^/users/", "status": 503, "times": 1})
    calls = [
        Call("PATCH", f"/users/{key}", {"accountEnabled": False}),
        Call("POST", f"/users/{key}/revokeSignInSessions", {}),
    ]
    assert [reply.status for reply in await subject.graph.send(calls, in_order=True)] == [204, 200]


async def test_one_order_is_not_split_over_requests(subject: Subject) -> None:
    with pytest.raises(ValueError, match="at most 20"):
        await subject.graph.send([Call("GET", GROUPS)] * 21, in_order=True)


# -- pages ------------------------------------------------------------------------------------------------------------


async def test_every_page_is_followed(subject: Subject) -> None:
    [reply] = await subject.get(GROUPS)
    items = await subject.graph.follow(reply)
    assert {item["id"] for item in items} == {group["id"] for group in subject.state()["groups"]}
    assert len(items) == len(subject.state()["groups"])


async def test_pages_come_one_at_a_time(subject: Subject) -> None:
    sizes = [len(page) async for page in subject.graph.pages(GROUPS)]
    assert sum(sizes) == len(subject.state()["groups"])
    assert max(sizes) == 2


@pytest.mark.parametrize(("status", "error"), [(403, Denied), (400, Refused), (404, Refused)])
async def test_a_collection_that_is_refused_raises_and_is_never_empty(
    subject: Subject, status: int, error: type[Exception]
) -> None:
    subject.faults.add({"path": "groups", "status": status})
    [reply] = await subject.get(GROUPS)
    with pytest.raises(error):
        await subject.graph.follow(reply)
    with pytest.raises(error):
        await anext(aiter(subject.graph.pages(GROUPS)))


async def test_a_page_in_the_middle_that_cannot_be_read_raises(subject: Subject) -> None:
    [reply] = await subject.get(GROUPS)
    subject.faults.add({"path": "groups", "status": 503, "headers": {"Retry-After": "99"}})
    with pytest.raises(Transient) as raised:
        await subject.graph.follow(reply)
    assert raised.value.retry_after == 99


async def test_a_next_link_that_leads_elsewhere_is_not_followed(subject: Subject) -> None:
    """It would carry the token there."""
    subject.faults.add({"path": "groups", "status": 200, "body": ELSEWHERE})
    [reply] = await subject.get(GROUPS)
    with pytest.raises(Refused, match="leads away"):
        await subject.graph.follow(reply)
    pages = aiter(subject.graph.pages(GROUPS))
    await anext(pages)
    with pytest.raises(Refused, match="leads away"):
        await anext(pages)


# -- faults -----------------------------------------------------------------------------------------------------------


async def test_retry_after_is_waited_for(subject: Subject) -> None:
    subject.faults.add({"path": "groups", "status": 429, "headers": {"Retry-After": "7"}, "times": 1})
    [reply] = await subject.get(GROUPS)
    assert reply.ok
    assert len(subject.clock.slept) == 1
    assert subject.clock.slept[0] >= 7


async def test_a_wait_past_the_budget_is_left_to_the_caller(subject: Subject) -> None:
    subject.faults.add({"path": "groups", "status": 429, "headers": {"Retry-After": "100"}})
    for replies in (await subject.get(GROUPS), await subject.get(GROUPS, GROUPS)):
        assert {(reply.status, reply.retry_after) for reply in replies} == {(429, 100.0)}
    assert subject.clock.slept == []


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_fault_that_lasts_uses_the_budget_and_is_the_reply(subject: Subject, status: int) -> None:
    subject.faults.add({"path": "groups", "status": status})
    [reply] = await subject.get(GROUPS)
    assert reply.status == status
    assert 0 < sum(subject.clock.slept) <= BUDGET


async def test_a_throttled_call_among_many_is_sent_again_alone(subject: Subject) -> None:
    subject.faults.add({"path": "groups", "status": 429, "headers": {"Retry-After": "3"}, "times": 1})
    key = subject.user("soc-4f2a")
    replies = await subject.get(f"/users/{key}?$select=id", GROUPS, f"/users/{key}?$select=userType")
    assert [reply.status for reply in replies] == [200, 200, 200]
    assert sum("groups" in call for call in subject.served()) == 2
    assert sum("users" in call for call in subject.served()) == 2
    assert subject.clock.slept[0] >= 3


async def test_a_lost_connection_is_tried_again(subject: Subject) -> None:
    subject.faults.add({"path": "groups", "reset_connection": "before", "times": 1})
    [reply] = await subject.get(GROUPS)
    assert reply.ok


async def test_an_answer_that_never_comes_is_status_0(subject: Subject) -> None:
    """It is not known whether the server acted."""
    subject.faults.add({"path": "groups", "reset_connection": "after"})
    [reply] = await subject.get(GROUPS)
    assert (reply.status, reply.ok) == (0, False)


async def test_a_refused_sign_in_is_denied(subject: Subject) -> None:
    subject.sign_out()
    with pytest.raises(Denied, match="sign-in"):
        await subject.get(GROUPS)
    with pytest.raises(Denied):
        await subject.get(GROUPS, GROUPS)


# -- only over HTTP ---------------------------------------------------------------------------------------------------


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
async def test_what_befalls_a_whole_batch_befalls_each_of_its_calls(
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
    assert _calls(served.traffic[-1]) == ["GET /users?$select=id&$top=1"]
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


async def test_a_tenant_that_cannot_be_reached_is_status_0(nowhere: str, _trust: None) -> None:
    graph = GraphTenant("t", nowhere, Signed(nowhere), 0.0, FakeClock())
    assert [reply.status for reply in await graph.send(TWO)] == [0, 0]
    await graph.close()
