"""What the broker must refuse, and what it must bear."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusSender
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
)
from proton.utils import BlockingConnection, LinkDetached

from sandbox.servicebus import Broker

pytestmark = [
    pytest.mark.usefixtures("sockets_left_by_the_sdk"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

Senders = Callable[[str], ServiceBusSender]


def test_a_queue_that_is_not_there_is_not_found(client: ServiceBusClient) -> None:
    with pytest.raises(MessagingEntityNotFoundError), client.get_queue_sender("nowhere") as sender:
        sender.send_messages(ServiceBusMessage("x"))
    with pytest.raises(MessagingEntityNotFoundError), client.get_queue_receiver("nowhere") as receiver:
        receiver.receive_messages(max_wait_time=1)


def test_a_message_beyond_the_size_limit_is_refused_however_it_is_sent(broker: Broker, sender: Senders) -> None:
    large = ServiceBusMessage(b"x" * 262_145, session_id="s")
    with pytest.raises(MessageSizeExceededError):
        sender("lifecycle").send_messages(large)
    later = ServiceBusMessage(b"x" * 262_145, session_id="s")
    with pytest.raises(MessageSizeExceededError):
        sender("lifecycle").schedule_messages(later, datetime(2099, 1, 1, tzinfo=UTC))
    assert broker.counts()["lifecycle"]["active"] == 0


def test_a_wrong_key_is_refused_with_401(broker: Broker) -> None:
    head, key = broker.connection_string.split("SharedAccessKey=")
    wrong = f"{head}SharedAccessKey=AAAA{key[4:]}"
    with (
        pytest.raises(ServiceBusAuthenticationError),
        ServiceBusClient.from_connection_string(wrong, retry_total=0) as client,
        client.get_queue_sender("plain") as sender,
    ):
        sender.send_messages(ServiceBusMessage("x"))


def test_a_client_without_a_token_may_attach_nothing(broker: Broker) -> None:
    connection = BlockingConnection(f"amqp://127.0.0.1:{broker.port}", timeout=5)
    try:
        with pytest.raises(LinkDetached, match="unauthorized-access"):
            connection.create_sender("plain")
    finally:
        connection.close()


def test_what_is_no_amqp_at_all_harms_nobody_else(broker: Broker, sender: Senders) -> None:
    with socket.create_connection(("127.0.0.1", broker.port)) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n" * 100)
        while stranger.recv(1024):
            pass
    sender("plain").send_messages(ServiceBusMessage("still here"))
    assert broker.counts()["plain"]["active"] == 1


def test_counts_and_peek_may_be_asked_from_any_thread_while_messages_flow(broker: Broker, sender: Senders) -> None:
    failures: list[Exception] = []

    def ask() -> None:
        try:
            for _ in range(200):
                assert broker.counts()["once"]["scheduled"] == 0
                broker.peek("once")
        except AssertionError as failure:
            failures.append(failure)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(100):
        sender("once").send_messages(ServiceBusMessage("x", message_id=str(number)))
    for thread in threads:
        thread.join()
    assert failures == []
    assert broker.counts()["once"]["active"] == 100


def test_a_stopped_broker_keeps_its_messages_and_frees_its_port(broker: Broker) -> None:
    before = broker.counts()
    port = broker.port
    broker.stop()
    assert broker.counts() == before
    broker.start()
    assert (broker.port, broker.counts()) == (port, before)


def test_a_port_in_use_is_said_at_start(broker: Broker) -> None:
    with pytest.raises(OSError, match="address already in use"):
        Broker({}, port=broker.port).start()
