from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass


class State(enum.IntEnum):
    """The values of `x-opt-message-state`; a locked message keeps the state it was taken from."""

    ACTIVE = 0
    DEFERRED = 1
    SCHEDULED = 2


@dataclass(frozen=True, slots=True)
class Content:
    """What a sender gave: the fields that the queue reads, and a payload that it never looks into."""

    payload: bytes
    message_id: str | None = None
    session_id: str | None = None
    due_at: float | None = None


@dataclass(frozen=True, slots=True)
class Lock:
    """`until` is None under a session: the session's own lock decides."""

    token: uuid.UUID
    owner: str
    until: float | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    source: str
    reason: str | None
    description: str | None


@dataclass(slots=True)
class Message:
    sequence: int
    content: Content
    enqueued_at: float
    state: State = State.ACTIVE
    deliveries: int = 0
    lock: Lock | None = None
    dead_letter: DeadLetter | None = None


@dataclass(slots=True)
class SessionLock:
    session_id: str
    owner: str
    until: float
