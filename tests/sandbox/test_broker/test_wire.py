"""Messages as bytes, tokens and management requests: what is wrong with them is said, never stumbled over."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from azure.servicebus._pyamqp.utils import generate_sas_token
from hypothesis import example, given, settings
from hypothesis import strategies as st
from proton import Message as AmqpMessage
from proton import symbol

from sandbox.servicebus import wire
from sandbox.servicebus.errors import MalformedError, QueueError, UnknownOperationError
from sandbox.servicebus.management import OPERATIONS, Request, perform
from sandbox.servicebus.message import Content, Message
from sandbox.servicebus.queue import build_queues
from sandbox.servicebus.spec import QueueSpec
from sandbox.servicebus.tokens import SharedKey

NOW = 1_000.0
AUDIENCE = "sb://127.0.0.1:5672/lifecycle"


def amqp(body: Any = b"body", **fields: Any) -> bytes:
    return bytes(AmqpMessage(body=body, **fields).encode())


def delivered(raw: bytes) -> Any:
    message = AmqpMessage()
    message.decode(wire.encode_message(Message(7, wire.read_content(raw), enqueued_at=NOW, deliveries=2), None))
    return message


def test_what_the_sender_wrote_is_passed_on_with_the_broker_s_count_and_number() -> None:
    raw = amqp(
        id="m", group_id="s", durable=True, properties={"a": 1}, annotations={symbol("x-opt-partition-key"): "p"}
    )
    message = delivered(raw)
    assert (message.id, message.group_id, message.durable, message.properties) == ("m", "s", True, {"a": 1})
    assert message.delivery_count == 2
    assert message.annotations[symbol("x-opt-partition-key")] == "p"
    assert message.annotations[symbol("x-opt-sequence-number")] == 7


@pytest.mark.parametrize("body", ["text", 3, {"a": [1, None]}, uuid.UUID(int=5), b"\x00\xff"])
def test_a_body_may_be_a_value_of_any_type(body: Any) -> None:
    raw = amqp(body)
    assert delivered(raw).body == body
    assert wire.body(Message(1, wire.read_content(raw), enqueued_at=NOW)) == body


def test_a_message_whose_body_merely_resembles_a_message_is_no_batch() -> None:
    assert len(wire.read_batch(amqp(b"\x00Sp is how a header starts"))) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"junk",
        b"\x00",
        b"\x00\x53\x75",
        b"\x00\x53\x75\xa0\x09short",
        b"\x00\x53\x10\xc0\x01\x00",  # a performative, not a section
        b"\x00\xa1\x01a\x45",
        b"\x00\x53\x73\xa1\x01a",  # properties that are a string
        b"\x00\x53\x72\x45",  # annotations that are a list
        b"\x00" * 5_000,
    ],
)
def test_what_is_no_message_is_refused_as_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        wire.read_batch(raw)


@given(st.binary(max_size=60) | st.binary(max_size=40).map(lambda tail: amqp(b"x", id="m")[:12] + tail))
@example(b"\x00\x53\x72\xc1\x01\x00")
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_either_refused_or_deliverable(raw: bytes) -> None:
    try:
        contents = wire.read_batch(raw)
    except MalformedError:
        return
    for content in contents:
        wire.encode_message(Message(1, content, enqueued_at=NOW), NOW)


@pytest.mark.parametrize(
    ("uri", "name", "key", "expiry", "proves"),
    [
        (AUDIENCE, "root", "secret", NOW + 1, True),
        ("sb://127.0.0.1:5672/", "root", "secret", NOW + 1, True),
        ("sb://127.0.0.1:5672/life", "root", "secret", NOW + 1, False),
        ("sb://127.0.0.1:5672/other", "root", "secret", NOW + 1, False),
        (AUDIENCE, "root", "wrong", NOW + 1, False),
        (AUDIENCE, "other", "secret", NOW + 1, False),
        (AUDIENCE, "root", "secret", NOW, False),
    ],
)
def test_a_token_proves_its_key_its_entity_and_its_time(
    uri: str, name: str, key: str, expiry: float, proves: bool
) -> None:
    token = generate_sas_token(uri, name, key, expiry)  # type: ignore[no-untyped-call]
    assert (SharedKey("root", "secret").expiry(token, AUDIENCE, NOW) is not None) is proves


@pytest.mark.parametrize(
    "token", ["", "eyJ.a.b", "SharedAccessSignature ", "SharedAccessSignature sr=a&sig=b&se=x&skn=root"]
)
def test_what_is_no_token_proves_nothing(token: str) -> None:
    assert SharedKey("root", "secret").expiry(token, AUDIENCE, NOW) is None


def request(**body: Any) -> Request:
    queue = build_queues({"q": QueueSpec()})["q"]
    queue.put([Content(amqp())], NOW)
    return Request(queue, {name.replace("_", "-"): value for name, value in body.items()}, "me", NOW)


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
@pytest.mark.parametrize("junk", [None, 3, "x", [{}], [None]])
def test_a_management_request_with_junk_for_arguments_is_refused(operation: str, junk: Any) -> None:
    names = ["lock_tokens", "disposition_status", "session_id", "session_state", "messages", "sequence_numbers"]
    names += ["from_sequence_number", "message_count", "receiver_settle_mode"]
    if operation.endswith("peek-message") and junk == 3:
        return  # numbers are what it wants
    with pytest.raises(QueueError):
        perform(operation, request(**dict.fromkeys(names, junk)))
    with pytest.raises(QueueError):
        perform(operation, request())


def test_an_operation_that_is_not_in_the_table_is_not_implemented() -> None:
    with pytest.raises(UnknownOperationError):
        perform("com.microsoft:add-rule", request())
