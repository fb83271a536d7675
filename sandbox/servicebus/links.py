"""The four kinds of link that a client can attach."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from proton import Condition, Delivery, Link, Message, MessageException, Terminus, int32, symbol

from sandbox.servicebus import wire
from sandbox.servicebus.conditions import CONDITIONS, condition
from sandbox.servicebus.errors import MalformedError, MessageTooLargeError, QueueError
from sandbox.servicebus.management import MAX_MESSAGE_BYTES
from sandbox.servicebus.message import Message as QueueMessage
from sandbox.servicebus.message import SessionLock
from sandbox.servicebus.node import Node

SESSION_FILTER = symbol("com.microsoft:session-filter")
LOCKED_UNTIL = symbol("com.microsoft:locked-until-utc")
SENDER_CREDIT = 500
REQUEST_CREDIT = 100


def echo(link: Any) -> None:
    """The broker takes what the client asked for."""
    link.source.copy(link.remote_source)
    link.target.copy(link.remote_target)
    link.snd_settle_mode = link.remote_snd_settle_mode
    link.rcv_settle_mode = link.remote_rcv_settle_mode


def refuse(link: Any, error: QueueError) -> None:
    """A link that never opened is answered without its broker's end and then closed, as AMQP 2.6.3 says.

    With both ends the SDK would take it for attached, and for the moment until the close arrives, use it.
    """
    if link.state & link.LOCAL_UNINIT:
        echo(link)
        (link.source if link.is_sender else link.target).type = Terminus.UNSPECIFIED
        link.open()
    link.condition = condition(error)
    link.close()


class SenderLink:
    """Client → queue."""

    def __init__(self, link: Any, node: Node, clock: Callable[[], float]) -> None:
        self.link, self._node, self._clock = link, node, clock
        echo(link)
        link.max_message_size = MAX_MESSAGE_BYTES
        link.open()
        link.flow(SENDER_CREDIT)

    def on_delivery(self, delivery: Any) -> None:
        if delivery.partial or not delivery.readable:
            return
        raw = bytes(self.link.recv(delivery.pending))
        self.link.advance()
        self.link.flow(1)
        try:
            self._put(raw)
        except QueueError as error:
            delivery.local.condition = condition(error)
            delivery.update(Delivery.REJECTED)
        else:
            delivery.update(Delivery.ACCEPTED)
        delivery.settle()

    def _put(self, raw: bytes) -> None:
        if len(raw) > MAX_MESSAGE_BYTES:
            raise MessageTooLargeError(len(raw), MAX_MESSAGE_BYTES)
        self._node.queue.put(wire.read_batch(raw), self._clock())


class ReceiverLink:
    """Queue → client; the delivery's tag is the lock token, as Service Bus has it."""

    def __init__(self, link: Any, node: Node, owner: str, clock: Callable[[], float]) -> None:
        self.link, self.node, self.owner, self._clock = link, node, owner, clock
        self.session_id: str | None = None

    def open(self) -> None:
        echo(self.link)
        self.link.open()
        self.node.attach(self)

    def grant(self, lock: SessionLock) -> None:
        echo(self.link)
        source_filter = self.link.source.filter
        source_filter.clear()
        source_filter.put_object({SESSION_FILTER: lock.session_id})
        self.link.properties = {LOCKED_UNTIL: wire.ticks(lock.until)}
        self.link.open()

    def refuse(self, error: QueueError) -> None:
        refuse(self.link, error)

    def credit(self) -> int:
        return int(self.link.credit)

    def drained(self) -> None:
        if self.link.drain_mode:
            self.link.drained()

    def deliver(self, message: QueueMessage, now: float) -> None:
        if message.lock is None:
            raise ValueError(f"message {message.sequence} is delivered without a lock")
        token = message.lock.token
        delivery = self.link.delivery(token.bytes_le)
        delivery.token = token
        self.link.stream(wire.encode_message(message, self.node.queue.locked_until(message)))
        self.link.advance()
        if self.link.remote_snd_settle_mode == Link.SND_SETTLED:  # receive and delete
            delivery.settle()
            self.node.queue.complete(token, now)

    def on_delivery(self, delivery: Any) -> None:
        token: uuid.UUID | None = getattr(delivery, "token", None)
        if token is None or not (delivery.remote_state or delivery.settled):
            return
        delivery.token = None
        try:
            self._settle(delivery, token)
        except QueueError as error:
            delivery.local.condition = condition(error)
            delivery.update(Delivery.REJECTED)
        else:
            delivery.update(delivery.remote_state or Delivery.RELEASED)
        delivery.settle()

    def _settle(self, delivery: Any, token: uuid.UUID) -> None:
        queue, now, outcome = self.node.queue, self._clock(), delivery.remote_state
        if outcome == Delivery.ACCEPTED:
            queue.complete(token, now)
        elif outcome == Delivery.REJECTED:
            queue.dead_letter(token, now, *_dead_letter_reason(delivery.remote.condition))
        elif outcome == Delivery.MODIFIED and delivery.remote.undeliverable:
            queue.defer(token, now)
        elif outcome == Delivery.MODIFIED:
            queue.abandon(token, now)
        else:
            queue.release(token, now)


def _dead_letter_reason(rejection: Condition | None) -> tuple[str | None, str | None]:
    info = {str(key): value for key, value in ((rejection and rejection.info) or {}).items()}
    return info.get("DeadLetterReason"), info.get("DeadLetterErrorDescription")


class RequestLink:
    """Client → `$cbs` or `<entity>/$management`; `answer` turns a request into the reply's parts."""

    def __init__(self, link: Any, answer: Callable[[Any], Any], reply: Callable[[Any], None]) -> None:
        self.link, self._answer, self._reply = link, answer, reply
        echo(link)
        link.open()
        link.flow(REQUEST_CREDIT)

    def on_delivery(self, delivery: Any) -> None:
        if delivery.partial or not delivery.readable:
            return
        raw = bytes(self.link.recv(delivery.pending))
        self.link.advance()
        self.link.flow(1)
        request = Message()
        try:
            request.decode(raw)
        except MessageException:
            delivery.local.condition = condition(MalformedError("The request is not an AMQP message."))
            delivery.update(Delivery.REJECTED)
            delivery.settle()
            return
        delivery.update(Delivery.ACCEPTED)
        delivery.settle()
        answer = self._answer(request)
        answer.correlation_id = request.id
        answer.address = request.reply_to
        self._reply(answer)


class ReplyLink:
    """`$cbs` or `<entity>/$management` → client."""

    def __init__(self, link: Any) -> None:
        self.link = link
        echo(link)
        link.open()

    def send(self, message: Any) -> None:
        delivery = self.link.delivery(uuid.uuid4().bytes)
        self.link.stream(message.encode())
        self.link.advance()
        delivery.settle()

    def on_delivery(self, delivery: Any) -> None:
        """Replies are sent settled: nothing comes back."""


def cbs_answer(*, accepted: bool) -> Any:
    code, text = (202, "Accepted") if accepted else (401, "InvalidSignature: the token is not valid.")
    return Message(properties={"status-code": int32(code), "status-description": text})


def management_answer(body: dict[str, Any]) -> Any:
    return Message(body=body, properties={"statusCode": int32(200), "statusDescription": "OK"})


def management_refusal(error: QueueError) -> Any:
    name, status = CONDITIONS[type(error)]
    return Message(
        properties={
            "statusCode": int32(status),
            "statusDescription": str(error),
            "errorCondition": symbol(name),
        }
    )
