"""Many runs send at once over one connection, and after it was cut: the SDK's senders are used one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from azure.identity.aio import ManagedIdentityCredential

from sandbox.servicebus import Broker, QueueSpec
from shared.adapters.servicebus import ServiceBus
from shared.ports import Message
from shared.settings import Bus
from tests.e2e.scenario import sockets_closed

pytestmark = pytest.mark.e2e
AT_ONCE = 5


@pytest.fixture
def broker() -> Iterator[Broker]:
    found = Broker({"lifecycle": QueueSpec(sessions=True)})
    found.start()
    yield found
    found.stop()


def _message(at: int) -> Message:
    return Message("lifecycle", f"event-{at}", b"{}", session=f"person-{at}")


async def _send_and_cut_and_send(broker: Broker) -> None:
    async with ManagedIdentityCredential() as identity:
        bus = ServiceBus(Bus(broker.connection_string), identity)
        await asyncio.gather(*(bus.send([_message(at)]) for at in range(AT_ONCE)))
        await asyncio.to_thread(broker.drop_connections)
        await asyncio.gather(*(bus.send([_message(at)]) for at in range(AT_ONCE, 2 * AT_ONCE)))
        await bus.close()


def test_messages_that_are_sent_at_once_all_arrive(broker: Broker) -> None:
    with sockets_closed():
        asyncio.run(_send_and_cut_and_send(broker))
    assert {one["messageId"] for one in broker.peek("lifecycle")} == {f"event-{at}" for at in range(2 * AT_ONCE)}
