"""Cut connections and killed consumers."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections import defaultdict

import pytest
from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusClient, ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient as AsyncClient
from azure.servicebus.aio import ServiceBusReceiver
from azure.servicebus.exceptions import ServiceBusError

from sandbox.servicebus import Broker

pytestmark = [
    pytest.mark.usefixtures("sockets_left_by_the_sdk"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

HOLDER = """
import sys, time
from azure.servicebus import ServiceBusClient
with ServiceBusClient.from_connection_string(sys.argv[1]) as client:
    with client.get_queue_receiver("lifecycle", session_id="held") as receiver:
        print(receiver.receive_messages(max_wait_time=5)[0], flush=True)
        time.sleep(60)
"""


def test_a_killed_consumer_s_session_is_free_at_once_and_its_message_comes_again(
    broker: Broker, client: ServiceBusClient
) -> None:
    with client.get_queue_sender("lifecycle") as sender:
        sender.send_messages(ServiceBusMessage("work", session_id="held", message_id="held"))
    command = [sys.executable, "-c", HOLDER, broker.connection_string]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "work"
        assert broker.peek("lifecycle")[0]["state"] == "locked"
        holder.send_signal(signal.SIGKILL)
    with client.get_queue_receiver("lifecycle", session_id="held") as receiver:
        [message] = receiver.receive_messages(max_wait_time=2)
        assert (str(message), message.delivery_count) == ("work", 1)
        receiver.complete_message(message)


SESSIONS, LENGTH = 6, 8


async def consume(client: AsyncClient, broker: Broker, done: dict[str, list[int]]) -> None:
    """Takes sessions until the queue is empty; whatever the cuts do to it, it starts again.

    Seen is not enough: a cut may have lost the completion of what was seen.
    """
    while broker.counts()["order"]["active"]:
        try:
            async with client.get_queue_receiver(
                "order", session_id=NEXT_AVAILABLE_SESSION, max_wait_time=0.3
            ) as receiver:
                await consume_session(receiver, done)
        except ServiceBusError:
            await asyncio.sleep(0)


async def consume_session(receiver: ServiceBusReceiver, done: dict[str, list[int]]) -> None:
    while messages := await receiver.receive_messages(max_message_count=2, max_wait_time=0.2):
        for message in messages:
            done[str(message.session_id)].append(int(str(message)))
            await asyncio.sleep(0.01)
            await receiver.complete_message(message)


async def test_order_within_sessions_survives_cut_connections_and_nothing_is_lost(broker: Broker) -> None:
    done: dict[str, list[int]] = defaultdict(list)

    async def cut() -> None:
        for _ in range(3):
            await asyncio.sleep(0.8)
            broker.drop_connections()

    async with AsyncClient.from_connection_string(broker.connection_string, retry_total=0) as client:
        async with client.get_queue_sender("order") as sender:
            for number in range(LENGTH):
                await sender.send_messages(
                    [ServiceBusMessage(str(number), session_id=f"s{n}") for n in range(SESSIONS)]
                )
        await asyncio.wait_for(asyncio.gather(cut(), *(consume(client, broker, done) for _ in range(3))), 60)
    for seen in done.values():
        first_times = [number for position, number in enumerate(seen) if number not in seen[:position]]
        assert first_times == list(range(LENGTH))
    assert broker.counts()["order"] == {"active": 0, "scheduled": 0, "deadLettered": 0}


async def test_a_waiting_receiver_gets_the_session_the_moment_a_message_comes(broker: Broker) -> None:
    async with (
        AsyncClient.from_connection_string(broker.connection_string, retry_total=0) as client,
        client.get_queue_sender("order") as sender,
    ):
        receiver = client.get_queue_receiver("order", session_id=NEXT_AVAILABLE_SESSION, max_wait_time=5)
        waiting = asyncio.create_task(receiver.receive_messages(max_wait_time=5))
        await asyncio.sleep(0.8)
        await sender.send_messages(ServiceBusMessage("x", session_id="fresh"))
        [message] = await waiting
        await receiver.complete_message(message)
        await receiver.close()
