"""The request-response operations of `<entity>/$management`, as a table.

https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-request-response
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from proton import UNDESCRIBED, Array, Data

from sandbox.servicebus import wire
from sandbox.servicebus.errors import MalformedError, MessageTooLargeError, UnknownOperationError
from sandbox.servicebus.message import Message
from sandbox.servicebus.queue import Queue

MAX_MESSAGE_BYTES = 256 * 1024  # Standard tier
VENDOR = "com.microsoft:"
SETTLE_AT_ONCE = 0  # receiver-settle-mode `first`: receive and delete


@dataclass(frozen=True, slots=True)
class Request:
    """`owner` is the receiver link that the request names as its own; locks are checked against it."""

    queue: Queue
    body: dict[str, Any]
    owner: str
    now: float

    def field(self, name: str) -> Any:
        if name not in self.body:
            raise MalformedError(f"The request has no '{name}'.")
        return self.body[name]

    def items(self, name: str) -> list[Any]:
        value = self.field(name)
        return list(value.elements) if isinstance(value, Array) else list(value)

    def tokens(self) -> list[uuid.UUID]:
        return [uuid.UUID(str(token)) for token in self.items("lock-tokens")]


Reply = dict[str, Any]


def renew_lock(request: Request) -> Reply:
    moments = [wire.milliseconds(until) for until in request.queue.renew(request.tokens(), request.now)]
    return {"expirations": Array(UNDESCRIBED, Data.TIMESTAMP, *moments)}


def update_disposition(request: Request) -> Reply:
    queue, now = request.queue, request.now
    settle: dict[str, Callable[[uuid.UUID], None]] = {
        "completed": lambda token: queue.complete(token, now),
        "abandoned": lambda token: queue.abandon(token, now),
        "defered": lambda token: queue.defer(token, now),  # the protocol's spelling
        "suspended": lambda token: queue.dead_letter(
            token, now, request.body.get("deadletter-reason"), request.body.get("deadletter-description")
        ),
    }
    status = str(request.field("disposition-status"))
    if status not in settle:
        raise MalformedError(f"'{status}' is not a disposition status.")
    for token in request.tokens():
        settle[status](token)
    return {}


def renew_session_lock(request: Request) -> Reply:
    until = request.queue.sessions.renew(request.field("session-id"), request.owner, request.now)
    return {"expiration": wire.milliseconds(until)}


def get_session_state(request: Request) -> Reply:
    return {"session-state": request.queue.sessions.state(request.field("session-id"), request.owner)}


def set_session_state(request: Request) -> Reply:
    state = request.field("session-state")
    request.queue.sessions.set_state(
        request.field("session-id"), request.owner, None if state is None else bytes(state)
    )
    return {}


def peek_message(request: Request) -> Reply:
    found = request.queue.peek(
        int(request.field("from-sequence-number")),
        int(request.field("message-count")),
        request.body.get("session-id"),
    )
    return {"messages": [{"message": _encoded(request.queue, message)} for message in found]}


def schedule_message(request: Request) -> Reply:
    raw = [bytes(item["message"]) for item in request.field("messages")]
    for message in raw:
        if len(message) > MAX_MESSAGE_BYTES:
            raise MessageTooLargeError(len(message), MAX_MESSAGE_BYTES)
    numbers = request.queue.put([wire.read_content(message) for message in raw], request.now)
    return {"sequence-numbers": Array(UNDESCRIBED, Data.LONG, *numbers)}


def cancel_scheduled_message(request: Request) -> Reply:
    request.queue.cancel([int(number) for number in request.items("sequence-numbers")], request.now)
    return {}


def receive_by_sequence_number(request: Request) -> Reply:
    queue, now = request.queue, request.now
    numbers = [int(number) for number in request.items("sequence-numbers")]
    taken = queue.take_deferred(numbers, request.owner, now, request.body.get("session-id"))
    encoded = [_encoded(queue, message) for message in taken]
    tokens = [message.lock.token for message in taken if message.lock is not None]
    if int(request.field("receiver-settle-mode")) == SETTLE_AT_ONCE:
        for token in tokens:
            queue.complete(token, now)
    pairs = zip(tokens, encoded, strict=True)
    return {"messages": [{"lock-token": token, "message": raw} for token, raw in pairs]}


def _encoded(queue: Queue, message: Message) -> bytes:
    return wire.encode_message(message, queue.locked_until(message))


OPERATIONS: dict[str, Callable[[Request], Reply]] = {
    VENDOR + "renew-lock": renew_lock,
    VENDOR + "update-disposition": update_disposition,
    VENDOR + "renew-session-lock": renew_session_lock,
    VENDOR + "get-session-state": get_session_state,
    VENDOR + "set-session-state": set_session_state,
    VENDOR + "peek-message": peek_message,
    VENDOR + "schedule-message": schedule_message,
    VENDOR + "cancel-scheduled-message": cancel_scheduled_message,
    VENDOR + "receive-by-sequence-number": receive_by_sequence_number,
}


def perform(operation: str, request: Request) -> Reply:
    if operation not in OPERATIONS:
        raise UnknownOperationError(operation)
    try:
        return OPERATIONS[operation](request)
    except (TypeError, ValueError, KeyError) as error:
        raise MalformedError(f"The request's arguments cannot be read: {error}.") from error
