"""Sending to Service Bus, over the broker that stands in for it."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any, cast

import pytest
import pytest_asyncio
from azure.core.credentials_async import AsyncTokenCredential

from sandbox.servicebus import Broker, QueueSpec
from shared.adapters.servicebus import ServiceBus
from shared.clock import SystemClock
from shared.errors import Denied, Refused, Transient
from shared.ports import Message
from shared.settings import Bus
from tests.contract.credentials import Signed

pytestmark = pytest.mark.asyncio(loop_scope="module")
PERSON = "22222222-2222-4222-8222-222222222222"


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    broker = Broker({"lifecycle": QueueSpec(sessions=True, duplicate_window_s=600), "rejected": QueueSpec()})
    broker.start()
    yield broker
    broker.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bus(broker: Broker) -> AsyncIterator[ServiceBus]:
    bus = ServiceBus(
        Bus(broker.connection_string), cast("AsyncTokenCredential", Signed("https://servicebus.azure.net"))
    )
    yield bus
    await bus.close()


def message(key: str, queue: str = "lifecycle", body: bytes = b"{}", **more: Any) -> Message:
    return Message(queue, key, body, session=PERSON if queue == "lifecycle" else None, **more)


def waiting(broker: Broker, queue: str, prefix: str) -> list[dict[str, Any]]:
    return [one for one in broker.peek(queue) if one["messageId"].startswith(prefix)]


async def test_a_message_arrives_with_id_session_body_and_properties(bus: ServiceBus, broker: Broker) -> None:
    await bus.send([message("one", body=b'{"a": 1}', properties={"reason": "why"})])
    [found] = waiting(broker, "lifecycle", "one")
    assert (found["sessionId"], found["body"], found["applicationProperties"]) == (
        PERSON,
        '{"a": 1}',
        {"reason": "why"},
    )


async def test_messages_to_several_queues_arrive_each_in_its_own_in_order(bus: ServiceBus, broker: Broker) -> None:
    sent = [message("mix-1"), message("mix-2", "rejected"), message("mix-3"), message("mix-4", "rejected")]
    await bus.send(sent)
    assert [one["messageId"] for one in waiting(broker, "lifecycle", "mix")] == ["mix-1", "mix-3"]
    assert [one["messageId"] for one in waiting(broker, "rejected", "mix")] == ["mix-2", "mix-4"]


async def test_more_than_one_batch_holds_arrives_whole_and_in_order(bus: ServiceBus, broker: Broker) -> None:
    keys = [f"many-{at:03d}" for at in range(40)]
    await bus.send([message(key, "rejected", b"x" * 30_000) for key in keys])
    assert [one["messageId"] for one in waiting(broker, "rejected", "many")] == keys


async def test_a_message_too_large_by_itself_is_refused(bus: ServiceBus) -> None:
    with pytest.raises(Refused, match="too large"):
        await bus.send([message("huge", "rejected", b"x" * 2_000_000)])


async def test_what_is_sent_twice_within_the_window_arrives_once(bus: ServiceBus, broker: Broker) -> None:
    for _ in range(3):
        await bus.send([message("twice")])
    assert len(waiting(broker, "lifecycle", "twice")) == 1


async def test_a_delayed_message_waits_for_its_time(bus: ServiceBus, broker: Broker) -> None:
    later = SystemClock().now() + timedelta(hours=1)
    await bus.send([message("later", not_before=later)])
    [found] = waiting(broker, "lifecycle", "later")
    assert found["state"] == "scheduled"


async def test_bytes_that_are_no_text_are_kept_as_they_are(bus: ServiceBus, broker: Broker) -> None:
    await bus.send([message("bytes", "rejected", b"\xff\xfe\x00")])
    assert len(waiting(broker, "rejected", "bytes")) == 1


async def test_sending_nothing_is_nothing(bus: ServiceBus) -> None:
    await bus.send([])


@pytest.fixture
def _left_by_the_sdk() -> Iterator[None]:
    """The SDK drops the sockets of connections that were cut without closing them."""
    yield
    gc.collect()


@pytest.mark.usefixtures("_left_by_the_sdk")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
async def test_a_cut_connection_is_made_again(bus: ServiceBus, broker: Broker) -> None:
    await bus.send([message("cut-1")])
    broker.drop_connections()
    await bus.send([message("cut-2")])
    assert {one["messageId"] for one in waiting(broker, "lifecycle", "cut")} == {"cut-1", "cut-2"}


async def test_a_queue_that_is_not_there_is_transient(bus: ServiceBus) -> None:
    with pytest.raises(Transient):
        await bus.send([message("lost", "nowhere")])


async def test_a_queue_is_reached_without_sending_and_one_that_is_missing_is_named(
    bus: ServiceBus, broker: Broker
) -> None:
    before = len(broker.peek("lifecycle"))
    await bus.reach("lifecycle")
    assert len(broker.peek("lifecycle")) == before
    with pytest.raises(Denied, match="queue nowhere"):
        await bus.reach("nowhere")
