"""A queue with sessions, seen through Microsoft's SDK."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusClient, ServiceBusMessage, ServiceBusSender
from azure.servicebus.exceptions import (
    OperationTimeoutError,
    ServiceBusError,
    SessionCannotBeLockedError,
    SessionLockLostError,
)

from sandbox.servicebus import Broker

Senders = Callable[[str], ServiceBusSender]


def send(sender: Senders, queue: str, session: str, *texts: str) -> None:
    for text in texts:
        sender(queue).send_messages(ServiceBusMessage(text, session_id=session, message_id=f"{session}-{text}"))


def test_a_named_session_gives_its_own_messages_in_order(client: ServiceBusClient, sender: Senders) -> None:
    send(sender, "lifecycle", "ann", "1", "2", "3")
    send(sender, "lifecycle", "bob", "1")
    with client.get_queue_receiver("lifecycle", session_id="ann") as receiver:
        got = receiver.receive_messages(max_message_count=3, max_wait_time=2)
        assert [(str(message), message.session_id) for message in got] == [(n, "ann") for n in "123"]
        for message in got:
            receiver.complete_message(message)
    with client.get_queue_receiver("lifecycle", session_id=NEXT_AVAILABLE_SESSION, max_wait_time=2) as receiver:
        assert receiver.session.session_id == "bob"
        receiver.complete_message(next(receiver))


def test_a_session_is_one_receiver_s_and_its_state_stays_with_it(client: ServiceBusClient, sender: Senders) -> None:
    send(sender, "lifecycle", "carl", "1")
    with client.get_queue_receiver("lifecycle", session_id="carl") as receiver:
        receiver.session.set_state(b"half-way")
        with (
            pytest.raises(SessionCannotBeLockedError),
            client.get_queue_receiver("lifecycle", session_id="carl") as second,
        ):
            second.receive_messages(max_wait_time=1)
        receiver.abandon_message(receiver.receive_messages(max_wait_time=2)[0])
        [again] = receiver.receive_messages(max_wait_time=2)
        assert again.delivery_count == 1
    with client.get_queue_receiver("lifecycle", session_id="carl") as receiver:
        assert receiver.session.get_state() == b"half-way"
        [message] = receiver.receive_messages(max_wait_time=2)
        assert message.delivery_count == 1, "closing a session in order does not count as a delivery"
        receiver.complete_message(message)


def test_deferral_works_within_a_session(client: ServiceBusClient, sender: Senders, broker: Broker) -> None:
    send(sender, "lifecycle", "dora", "1", "2")
    with client.get_queue_receiver("lifecycle", session_id="dora") as receiver:
        first, second = receiver.receive_messages(max_message_count=2, max_wait_time=2)
        receiver.defer_message(first)
        receiver.dead_letter_message(second, reason="Bad")
        [deferred] = receiver.receive_deferred_messages(first.sequence_number or 0)
        receiver.complete_message(deferred)
    [dead] = broker.peek("lifecycle/$deadletterqueue")
    assert (dead["messageId"], dead["sessionId"]) == ("dora-2", "dora")


def test_a_session_lock_that_ran_out_is_lost_unless_it_was_renewed(client: ServiceBusClient, sender: Senders) -> None:
    send(sender, "brief", "s", "1")
    with client.get_queue_receiver("brief", session_id="s") as receiver:
        [message] = receiver.receive_messages(max_wait_time=2)
        time.sleep(0.4)
        before = receiver.session.locked_until_utc
        assert before is not None
        assert receiver.session.renew_lock() > before
        time.sleep(0.5)
        receiver.session.renew_lock()
        time.sleep(1.0)
        with pytest.raises(SessionLockLostError):
            receiver.complete_message(message)
    with client.get_queue_receiver("brief", session_id="s") as receiver:
        [message] = receiver.receive_messages(max_wait_time=2)
        assert message.delivery_count == 1
        receiver.complete_message(message)


def test_waiting_for_a_session_ends_when_the_client_said(client: ServiceBusClient) -> None:
    with (
        pytest.raises(OperationTimeoutError),
        client.get_queue_receiver("order", session_id=NEXT_AVAILABLE_SESSION, max_wait_time=0.5) as receiver,
    ):
        receiver.receive_messages()


@pytest.mark.parametrize(("queue", "session"), [("lifecycle", None), ("plain", "s"), ("plain", NEXT_AVAILABLE_SESSION)])
def test_a_receiver_must_fit_the_queue_s_session_mode(
    client: ServiceBusClient, queue: str, session: str | None
) -> None:
    with (
        pytest.raises(ServiceBusError, match="amqp:not-allowed"),
        client.get_queue_receiver(queue, session_id=session) as receiver,
    ):
        receiver.receive_messages(max_wait_time=1)


def test_a_message_without_a_session_id_is_refused_by_a_queue_with_sessions(sender: Senders) -> None:
    with pytest.raises(ServiceBusError, match="amqp:not-allowed"):
        sender("lifecycle").send_messages(ServiceBusMessage("x"))
