"""$batch as Graph takes it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.graph.client import Graph, Reply
from tests.sandbox.graph.conftest import Serve

JSON = {"Content-Type": "application/json"}
ACCOUNT = "/users/soc-e60b@soc.contoso.example"


def read(key: str, **more: Any) -> dict[str, Any]:
    return {"id": key, "method": "GET", "url": f"{ACCOUNT}?$select=id,accountEnabled", **more}


def by_id(reply: Reply) -> dict[str, Any]:
    return {one["id"]: one for one in reply.body["responses"]}


async def test_a_url_may_begin_with_a_slash_or_not_but_not_with_the_version(graph: Graph) -> None:
    urls = {"1": ACCOUNT, "2": ACCOUNT[1:], "3": f"/v1.0{ACCOUNT}"}
    requests = [{"id": key, "method": "get", "url": url} for key, url in urls.items()]
    replies = by_id(await graph.batch("mssp", requests))
    assert {key: one["status"] for key, one in replies.items()} == {"1": 200, "2": 200, "3": 400}


async def test_an_absolute_url_refuses_the_batch(graph: Graph) -> None:
    requests = [{"id": "1", "method": "GET", "url": "https://graph.microsoft.com/v1.0/users"}]
    assert (await graph.batch("mssp", requests)).status == 400


@pytest.mark.parametrize(
    "body",
    [None, [], "x", {}, {"requests": None}, {"requests": {}}, {"requests": [None]}, {"requests": [{}]},
     {"requests": [read("1")], "more": 1}, {"requests": [read("1", headers="x")]},
     {"requests": [read("1", dependsOn=3)]},
     {"requests": [read("1", method="TRACE")]}, {"requests": [read("1", method=None)]}, {"requests": [read("1", to=1)]},
     {"requests": [{**read("1"), "id": 1}]}],
)  # fmt: skip
async def test_a_batch_of_another_form_is_refused_as_a_whole(graph: Graph, body: Any) -> None:
    reply = await graph.post("mssp", "/$batch", body)
    assert (reply.status, reply.code) == (400, "BadRequest")


async def test_a_batch_is_posted(graph: Graph) -> None:
    assert (await graph.get("mssp", "/$batch")).status == 405
    assert (await graph.post("mssp", "/%24batch", {"requests": [read("1")]})).status == 200


async def test_replies_come_in_another_order_that_is_the_same_each_time(graph: Graph) -> None:
    requests = [read(str(at)) for at in range(20)]
    orders = [[one["id"] for one in (await graph.batch("mssp", requests)).body["responses"]] for _ in range(2)]
    assert orders[0] == orders[1]
    assert orders[0] != sorted(orders[0], key=int)
    assert sorted(orders[0], key=int) == [str(at) for at in range(20)]


async def test_what_depends_on_a_failure_is_not_done(graph: Graph) -> None:
    requests = [
        read("1", url="/users/nobody"),
        {"id": "2", "method": "PATCH", "url": ACCOUNT, "body": {"accountEnabled": False}, "headers": JSON,
         "dependsOn": ["1"]},
        read("3", dependsOn=["2"]),
        read("4"),
    ]  # fmt: skip
    replies = by_id(await graph.batch("mssp", requests))
    assert {key: one["status"] for key, one in replies.items()} == {"1": 404, "2": 424, "3": 424, "4": 200}
    assert replies["4"]["body"]["accountEnabled"] is True


async def test_a_write_without_a_body_refuses_the_batch(graph: Graph) -> None:
    bare = {"id": "1", "method": "POST", "url": f"{ACCOUNT}/revokeSignInSessions"}
    assert (await graph.batch("mssp", [bare])).status == 400
    assert (await graph.batch("mssp", [{**bare, "headers": JSON}])).status == 400
    whole = {**bare, "headers": JSON, "body": {}}
    assert by_id(await graph.batch("mssp", [whole]))["1"]["status"] == 200


async def test_each_request_of_a_batch_is_throttled_by_itself(serving: Serve, demo: dict[str, Any]) -> None:
    demo["settings"] = {"throttle_scale": 3 / 3500}
    graph = await serving(demo)
    replies = by_id(await graph.batch("mssp", [read(str(at)) for at in range(5)]))
    refused = [one for one in replies.values() if one["status"] == 429]
    assert len(refused) == 2
    assert all(1 <= int(one["headers"]["Retry-After"]) <= 10 for one in refused)


async def test_a_fault_meets_one_request_of_a_batch(graph: Graph) -> None:
    graph.service.faults.add(
        {
            "tenant": "mssp",
            "method": "GET",
            "path": "soc-e60b",
            "status": 503,
            "headers": {"Retry-After": "7"},
            "times": 1,
        }
    )
    replies = by_id(await graph.batch("mssp", [read("1"), read("2")]))
    assert {key: one["status"] for key, one in replies.items()} == {"1": 503, "2": 200}
    assert replies["1"]["headers"]["Retry-After"] == "7"


@pytest.mark.parametrize(("when", "enabled"), [("before", True), ("after", False)])
async def test_a_cut_request_of_a_batch_is_missing_from_the_reply(graph: Graph, when: str, *, enabled: bool) -> None:
    graph.service.faults.add({"method": "PATCH", "path": "soc-e60b", "reset_connection": when, "times": 1})
    requests = [
        {"id": "1", "method": "PATCH", "url": ACCOUNT, "body": {"accountEnabled": False}, "headers": JSON},
        read("2"),
        read("3", dependsOn=["1"]),
    ]
    replies = by_id(await graph.batch("mssp", requests))
    assert {key: one["status"] for key, one in replies.items()} == {"2": 200, "3": 424}
    assert replies["2"]["body"]["accountEnabled"] is enabled


async def test_a_next_link_from_a_batch_leads_on_outside_it(serving: Serve, demo: dict[str, Any]) -> None:
    demo["settings"] = {"page_size": 4}
    graph = await serving(demo)
    replies = by_id(await graph.batch("mssp", [{"id": "1", "method": "GET", "url": "/users?$select=id"}]))
    following = await graph.get("mssp", replies["1"]["body"]["@odata.nextLink"])
    assert len(following.ids) == 3
