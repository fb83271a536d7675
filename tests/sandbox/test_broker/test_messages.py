"""A queue without sessions, seen through Microsoft's SDK."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from azure.servicebus import (
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceivedMessage,
    ServiceBusReceiveMode,
    ServiceBusReceiver,
    ServiceBusSender,
    ServiceBusSubQueue,
)
from azure.servicebus.exceptions import MessageLockLostError, MessageNotFoundError, ServiceBusError

from sandbox.servicebus import Broker
from shared.clock import SystemClock

Senders = Callable[[str], ServiceBusSender]


def one(receiver: ServiceBusReceiver) -> ServiceBusReceivedMessage:
    [message] = receiver.receive_messages(max_message_count=1, max_wait_time=3)
    return message


def in_seconds(seconds: float) -> datetime:
    return SystemClock().now() + timedelta(seconds=seconds)


def test_a_message_arrives_as_it_was_sent(sender: Senders, receiver: ServiceBusReceiver) -> None:
    sender("plain").send_messages(
        ServiceBusMessage(
            b'{"a": 1}',
            message_id="m1",
            correlation_id="c1",
            subject="jml.leaver",
            content_type="application/json",
            application_properties={"attempt": 3, "person": "p"},
            time_to_live=timedelta(days=1),
        )
    )
    message = one(receiver)
    assert b"".join(message.body) == b'{"a": 1}'
    assert (message.message_id, message.correlation_id) == ("m1", "c1")
    assert (message.subject, message.content_type) == ("jml.leaver", "application/json")
    assert message.application_properties is not None
    assert message.application_properties[b"attempt"] == 3
    assert message.time_to_live == timedelta(days=1)
    assert message.delivery_count == 0
    assert message.enqueued_time_utc is not None
    assert message.locked_until_utc is not None
    assert 59 <= (message.locked_until_utc - message.enqueued_time_utc).total_seconds() <= 61
    receiver.complete_message(message)


@pytest.mark.parametrize("size", [0, 70_000, 250_000])
def test_bodies_of_all_sizes_arrive_whole(sender: Senders, receiver: ServiceBusReceiver, size: int) -> None:
    sender("plain").send_messages(ServiceBusMessage(b"x" * size))
    message = one(receiver)
    assert len(b"".join(message.body)) == size
    receiver.complete_message(message)


def test_a_message_is_delivered_on_a_link_that_waits_already(
    broker: Broker, client: ServiceBusClient, sender: Senders, receiver: ServiceBusReceiver
) -> None:
    del client
    sender("plain").send_messages(ServiceBusMessage("warm"))
    receiver.complete_message(one(receiver))
    sender("plain").send_messages(ServiceBusMessage("x"))
    message = one(receiver)
    receiver.complete_message(message)
    assert broker.counts()["plain"] == {"active": 0, "scheduled": 0, "deadLettered": 0}


def test_an_abandoned_message_returns_with_its_delivery_count_raised(
    sender: Senders, receiver: ServiceBusReceiver
) -> None:
    sender("plain").send_messages(ServiceBusMessage("x"))
    receiver.abandon_message(one(receiver))
    again = one(receiver)
    assert again.delivery_count == 1
    receiver.complete_message(again)


def test_a_deferred_message_is_received_by_its_number_alone(sender: Senders, receiver: ServiceBusReceiver) -> None:
    sender("plain").send_messages(ServiceBusMessage("x"))
    message = one(receiver)
    assert message.sequence_number is not None
    receiver.defer_message(message)
    assert receiver.receive_messages(max_wait_time=0.2) == []
    [deferred] = receiver.receive_deferred_messages([message.sequence_number])
    receiver.complete_message(deferred)
    with pytest.raises(MessageNotFoundError):
        receiver.receive_deferred_messages([message.sequence_number])


def test_a_dead_lettered_message_keeps_reason_and_source_and_can_be_received(
    broker: Broker, client: ServiceBusClient, sender: Senders, receiver: ServiceBusReceiver
) -> None:
    sender("plain").send_messages(ServiceBusMessage("x", message_id="bad", application_properties={"a": 1}))
    receiver.dead_letter_message(one(receiver), reason="Unreadable", error_description="no JSON")
    [peeked] = broker.peek("plain/$DeadLetterQueue")
    assert peeked["applicationProperties"]["DeadLetterReason"] == "Unreadable"
    with client.get_queue_receiver("plain", sub_queue=ServiceBusSubQueue.DEAD_LETTER) as dead_letters:
        dead = one(dead_letters)
        assert (dead.dead_letter_reason, dead.dead_letter_error_description) == ("Unreadable", "no JSON")
        assert (dead.dead_letter_source, dead.message_id) == ("plain", "bad")
        dead_letters.complete_message(dead)
    assert broker.counts()["plain"]["deadLettered"] == 0


def test_a_lock_that_ran_out_is_lost_and_after_the_last_delivery_the_message_is_dead(
    broker: Broker, client: ServiceBusClient, sender: Senders
) -> None:
    sender("Quick").send_messages(ServiceBusMessage("x"))
    with client.get_queue_receiver("quick") as receiver:
        message = one(receiver)
        receiver.renew_message_lock(message)
        time.sleep(0.7)
        with pytest.raises(MessageLockLostError):
            receiver.complete_message(message)
        with pytest.raises(MessageLockLostError):
            receiver.renew_message_lock(message)
        assert one(receiver).delivery_count == 1
        time.sleep(0.7)
    assert broker.counts()["Quick"] == {"active": 0, "scheduled": 0, "deadLettered": 1}
    [dead] = broker.peek("quick/$deadletterqueue")
    assert dead["applicationProperties"]["DeadLetterReason"] == "MaxDeliveryCountExceeded"


def test_received_and_deleted_messages_need_no_settlement(
    broker: Broker, client: ServiceBusClient, sender: Senders
) -> None:
    sender("plain").send_messages([ServiceBusMessage("a"), ServiceBusMessage("b")])
    mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
    with client.get_queue_receiver("plain", receive_mode=mode) as receiver:
        got = receiver.receive_messages(max_message_count=2, max_wait_time=2)
    assert [str(message) for message in got] == ["a", "b"]
    assert broker.counts()["plain"]["active"] == 0


def test_a_batch_is_taken_apart_into_its_messages(
    broker: Broker, sender: Senders, receiver: ServiceBusReceiver
) -> None:
    batch = sender("plain").create_message_batch()
    for number in range(50):
        batch.add_message(ServiceBusMessage(f"b{number}", message_id=f"b{number}"))
    sender("plain").send_messages(batch)
    assert [message["messageId"] for message in broker.peek("plain")] == [f"b{n}" for n in range(50)]
    got: list[ServiceBusReceivedMessage] = []
    while len(got) < 50:
        got += receiver.receive_messages(max_message_count=50 - len(got), max_wait_time=2)
    assert [str(message) for message in got] == [f"b{n}" for n in range(50)]
    for message in got:
        receiver.complete_message(message)


def test_a_scheduled_message_arrives_when_it_is_due_however_it_was_scheduled(
    broker: Broker, sender: Senders, receiver: ServiceBusReceiver
) -> None:
    due = in_seconds(0.6)
    sender("plain").send_messages(ServiceBusMessage("sent", scheduled_enqueue_time_utc=due))
    sender("plain").schedule_messages(ServiceBusMessage("scheduled"), due)
    assert broker.counts()["plain"] == {"active": 0, "scheduled": 2, "deadLettered": 0}
    assert {message["state"] for message in broker.peek("plain")} == {"scheduled"}
    assert receiver.receive_messages(max_wait_time=0.2) == []
    got = [one(receiver), one(receiver)]
    assert sorted(str(message) for message in got) == ["scheduled", "sent"]
    assert -0.05 < (in_seconds(0) - due).total_seconds() < 0.6
    for message in got:
        receiver.complete_message(message)


def test_a_cancelled_message_never_arrives(broker: Broker, sender: Senders) -> None:
    numbers = sender("plain").schedule_messages([ServiceBusMessage("a"), ServiceBusMessage("b")], in_seconds(60))
    sender("plain").cancel_scheduled_messages(numbers)
    assert broker.counts()["plain"]["scheduled"] == 0
    with pytest.raises(MessageNotFoundError):
        sender("plain").cancel_scheduled_messages(numbers)


def test_peeking_shows_messages_without_taking_them(
    sender: Senders, receiver: ServiceBusReceiver, client: ServiceBusClient
) -> None:
    del client
    sender("plain").send_messages([ServiceBusMessage("a"), ServiceBusMessage("b")])
    first = one(receiver)
    peeked = receiver.peek_messages(max_message_count=5, sequence_number=first.sequence_number or 0)
    assert [str(message) for message in peeked] == ["a", "b"]
    second = one(receiver)
    assert str(second) == "b"
    receiver.complete_message(first)
    receiver.complete_message(second)
    assert receiver.peek_messages() == []


def test_a_duplicate_is_accepted_and_dropped_even_of_a_scheduled_message(broker: Broker, sender: Senders) -> None:
    once = sender("once")
    for _ in range(3):
        once.send_messages(ServiceBusMessage("x", message_id="same"))
    once.schedule_messages(ServiceBusMessage("x", message_id="same"), in_seconds(60))
    once.schedule_messages(ServiceBusMessage("x", message_id="later"), in_seconds(60))
    once.send_messages(ServiceBusMessage("x", message_id="later"))
    assert broker.counts()["once"] == {"active": 1, "scheduled": 1, "deadLettered": 0}


def test_the_supervisor_sees_a_message_as_plain_data(
    broker: Broker, sender: Senders, receiver: ServiceBusReceiver
) -> None:
    message = ServiceBusMessage(b"\xff\xfe", message_id="m", application_properties={"n": 3, "s": "x"})
    sender("plain").send_messages(message)
    [seen] = broker.peek("plain")
    enqueued = datetime.fromisoformat(seen.pop("enqueuedTime"))
    assert abs((in_seconds(0) - enqueued).total_seconds()) < 5
    assert seen.pop("sequenceNumber") > 0
    assert seen == {
        "messageId": "m",
        "sessionId": None,
        "scheduledEnqueueTime": None,
        "deliveryCount": 0,
        "state": "active",
        "applicationProperties": {"n": 3, "s": "x"},
        "body": "//4=",
    }
    received = one(receiver)
    assert broker.peek("plain")[0]["state"] == "locked"
    receiver.complete_message(received)


def test_a_dead_letter_queue_takes_no_messages_from_senders(client: ServiceBusClient) -> None:
    with (
        pytest.raises(ServiceBusError, match="amqp:not-allowed"),
        client.get_queue_sender("plain/$deadletterqueue") as dead,
    ):
        dead.send_messages(ServiceBusMessage("x"))
