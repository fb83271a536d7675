"""What Graph of a tenant is, for the adapter over HTTP and for the one in process alike."""

from __future__ import annotations

import pytest

from shared.errors import Denied, Refused, Transient
from shared.ports import Call
from tests.contract.graphs import BUDGET, Subject

pytestmark = pytest.mark.asyncio(loop_scope="module")
GROUPS = "/groups?$select=id"
ELSEWHERE = {"value": [{"id": "1"}], "@odata.nextLink": "https://graph.example.evil/v1.0/users?$skiptoken=x"}


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
