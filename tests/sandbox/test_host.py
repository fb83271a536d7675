"""The Functions host runs an app as Azure's does: doors, clocks and queues."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from azure.servicebus import ServiceBusMessage

from tests.sandbox.sample_host import SampleHost, sample_host, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("host")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def _running(directory: Path) -> AsyncIterator[SampleHost]:
    async with sample_host(directory) as running:
        yield running


@pytest.fixture
def host(_running: SampleHost) -> SampleHost:
    _running.journal.unlink(missing_ok=True)
    return _running


async def test_a_function_sees_route_query_headers_body_and_trace(host: SampleHost) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    status, text, headers = await host.request(
        "PUT",
        "/api/Things/o'neil%20%C3%BC?a=1&a=2&b=x%26y",
        data="söme body".encode(),
        headers={"X-Sample": "here", "traceparent": trace},
    )
    seen = json.loads(text)
    assert (status, headers["X-Seen"]) == (202, "yes")
    assert headers["Content-Type"].startswith("application/json")
    assert (seen["id"], seen["method"]) == ("o'neil ü", "PUT")
    assert (seen["query"], seen["body"]) == ({"a": "1,2", "b": "x&y"}, "söme body")
    assert (seen["header"], seen["trace"]) == ("here", trace)


async def test_an_escaped_slash_stays_in_its_segment(host: SampleHost) -> None:
    _, text, _ = await host.request("GET", "/api/things/a%2Fb")
    assert json.loads(text)["id"] == "a%2Fb"


async def test_the_route_with_more_literals_wins(host: SampleHost) -> None:
    assert (await host.request("GET", "/api/things/special"))[:2] == (200, "special")


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/api/things/1"), ("GET", "/api/nothing"), ("GET", "/things/1"), ("GET", "/api/things/1/2")],
)
async def test_unknown_routes_and_unlisted_methods_are_not_found(host: SampleHost, method: str, path: str) -> None:
    assert (await host.request(method, path))[0] == 404


async def test_a_function_that_raises_answers_500_and_says_nothing(host: SampleHost) -> None:
    assert (await host.request("GET", "/api/broken"))[:2] == (500, "")


async def test_a_body_beyond_the_limit_is_refused(host: SampleHost) -> None:
    assert (await host.request("PUT", "/api/things/1", data=b"x" * 200_000))[0] == 413


async def test_a_timer_runs_on_demand_and_answers_when_it_has_ended(host: SampleHost) -> None:
    status, _, _ = await host.request("POST", "/admin/functions/tick", json={})
    assert status == 200
    assert [row["past_due"] for row in host.rows("tick")] == [False]


async def test_a_timer_that_raises_answers_500_with_its_message(host: SampleHost) -> None:
    status, text, _ = await host.request("POST", "/admin/functions/failing_tick", json={})
    assert (status, json.loads(text)) == (500, {"error": "RuntimeError: the timer fails on purpose"})


async def test_a_timer_that_is_not_there_is_named_with_those_that_are(host: SampleHost) -> None:
    status, text, _ = await host.request("POST", "/admin/functions/thing", json={})
    assert status == 404
    assert "tick" in json.loads(text)["error"]


async def test_a_timer_never_overlaps_itself(host: SampleHost) -> None:
    await asyncio.gather(*(host.request("POST", "/admin/functions/slow_tick", json={}) for _ in range(2)))
    assert [row["at"] for row in host.rows("slow")] == ["start", "end", "start", "end"]


async def test_a_disabled_function_has_no_trigger_but_a_timer_runs_on_demand(host: SampleHost) -> None:
    await asyncio.sleep(1.1)
    assert host.rows("slow") == [], "its schedule is every second"
    assert (await host.request("GET", "/api/disabled"))[0] == 404
    assert (await host.request("POST", "/admin/functions/slow_tick", json={}))[0] == 200


async def test_every_async_function_runs_on_one_loop(host: SampleHost) -> None:
    await host.request("POST", "/admin/functions/tick", json={})
    _, text, _ = await host.request("GET", "/api/things/1")
    assert json.loads(text)["loop"] == host.rows("tick")[0]["loop"]


async def test_a_message_arrives_with_the_metadata_of_service_bus(host: SampleHost) -> None:
    message = ServiceBusMessage(
        '{"a": "ü"}',
        session_id="person-1",
        message_id="event-1",
        content_type="application/json",
        correlation_id="run-1",
        application_properties={"attempt": 2, "kind": "leaver"},
    )
    await host.send("lifecycle", message)
    await until(lambda: bool(host.rows("message-end")))
    await until(lambda: host.broker.counts()["lifecycle"]["active"] == 0)
    row = host.rows("message")[0]
    assert (row["body"], row["message_id"], row["session"]) == ('{"a": "ü"}', "event-1", "person-1")
    assert (row["content_type"], row["correlation"]) == ("application/json", "run-1")
    assert row["properties"] == {"attempt": 2, "kind": "leaver"}
    assert (row["delivery"], row["sequence"] > 0) == (1, True)
    assert row["enqueued"].endswith("+00:00")


async def test_a_session_keeps_its_order_while_others_run_beside_it(host: SampleHost) -> None:
    sessions = ("one", "two", "three")
    messages = [
        ServiceBusMessage(str(number), session_id=name, message_id=f"{name}-{number}")
        for number in range(3)
        for name in sessions
    ]
    await host.send("lifecycle", *messages)
    await until(lambda: len(host.rows("message-end")) == 9)
    for name in sessions:
        assert [row["body"] for row in host.rows("message") if row["session"] == name] == ["0", "1", "2"]
    lines = [json.loads(line) for line in host.journal.read_text().splitlines()]
    first_end = next(index for index, row in enumerate(lines) if row["kind"] == "message-end")
    assert len({row["session"] for row in lines[:first_end]}) > 1, "sessions ran one after the other"


async def test_a_message_that_fails_is_abandoned_until_it_is_dead_lettered(host: SampleHost) -> None:
    await host.send("lifecycle", ServiceBusMessage("refuse", session_id="bad", message_id="bad-1"))
    await until(lambda: host.broker.counts()["lifecycle"]["deadLettered"] == 1)
    assert [row["delivery"] for row in host.rows("message")] == [1, 2, 3]


async def test_a_body_that_is_no_text_reaches_the_app_as_it_was_sent(host: SampleHost) -> None:
    await host.send("rejected", ServiceBusMessage(b"\xff\x00\xfe"))
    await until(lambda: bool(host.rows("plain")))
    assert host.rows("plain")[0]["body"] == "ff00fe"


async def test_receiving_goes_on_after_every_connection_was_cut(host: SampleHost) -> None:
    await host.cut_connections()
    await host.send("lifecycle", ServiceBusMessage("after", session_id="cut", message_id="after-cut"))
    await until(lambda: bool(host.rows("message-end")))
