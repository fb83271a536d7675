from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from sandbox.servicebus.errors import NoSessionAvailableError, QueueError, SessionLockLostError
from sandbox.servicebus.message import Message, SessionLock
from sandbox.servicebus.queue import Queue


class Receiver(Protocol):
    """A client's receiver link, as the queue's node sees it."""

    owner: str
    session_id: str | None

    def credit(self) -> int: ...
    def deliver(self, message: Message, now: float) -> None: ...
    def drained(self) -> None: ...
    def grant(self, lock: SessionLock) -> None: ...
    def refuse(self, error: QueueError) -> None: ...


@dataclass(slots=True)
class Waiter:
    receiver: Receiver
    until: float


@dataclass(slots=True)
class Node:
    """A queue with the receivers attached to it and those that wait for a session."""

    queue: Queue
    receivers: list[Receiver] = field(default_factory=list)
    waiters: list[Waiter] = field(default_factory=list)

    def attach(self, receiver: Receiver) -> None:
        self.receivers.append(receiver)

    def accept_session(self, receiver: Receiver, session_id: str | None, until: float, now: float) -> None:
        """A named session at once or not at all; the next available one when there is one."""
        lock = self.queue.accept_session(session_id, receiver.owner, now)
        if lock is None:
            self.waiters.append(Waiter(receiver, until))
        else:
            self._grant(receiver, lock)

    def _grant(self, receiver: Receiver, lock: SessionLock) -> None:
        receiver.session_id = lock.session_id
        receiver.grant(lock)
        self.receivers.append(receiver)

    def detach(self, receiver: Receiver, now: float, *, cut: bool) -> None:
        """Closed by the client, or (cut) its connection is gone."""
        self.waiters = [waiter for waiter in self.waiters if waiter.receiver is not receiver]
        if receiver not in self.receivers:
            return
        self.receivers.remove(receiver)
        if receiver.session_id is not None:
            self.queue.release_session(receiver.session_id, receiver.owner, now, counted=cut)
        elif cut:
            self.queue.release_owner(receiver.owner, now)

    def turn(self, now: float) -> None:
        """All that can happen now: locks lost, sessions granted or waited for in vain, messages sent."""
        self.queue.advance(now)
        for lost in self.queue.lost_sessions():
            self._tell_lost(lost)
        self._serve_waiters(now)
        self._send(now)

    def _tell_lost(self, lock: SessionLock) -> None:
        for receiver in [r for r in self.receivers if r.owner == lock.owner]:
            self.receivers.remove(receiver)
            receiver.refuse(SessionLockLostError(lock.session_id))

    def _serve_waiters(self, now: float) -> None:
        while self.waiters:
            lock = self.queue.accept_session(None, self.waiters[0].receiver.owner, now)
            if lock is None:
                break
            self._grant(self.waiters.pop(0).receiver, lock)
        for waiter in [waiter for waiter in self.waiters if waiter.until <= now]:
            self.waiters.remove(waiter)
            waiter.receiver.refuse(NoSessionAvailableError())

    def _send(self, now: float) -> None:
        """One message to each receiver in turn until none has both credit and a message."""
        sent = True
        while sent:
            sent = False
            for receiver in self.receivers:
                message = self._next(receiver, now) if receiver.credit() > 0 else None
                if message is not None:
                    receiver.deliver(message, now)
                    sent = True
        for receiver in self.receivers:
            receiver.drained()

    def _next(self, receiver: Receiver, now: float) -> Message | None:
        return self.queue.take(receiver.owner, now, receiver.session_id)

    def next_deadline(self) -> float | None:
        moments = [waiter.until for waiter in self.waiters]
        deadline = self.queue.next_deadline()
        return min(moments if deadline is None else [*moments, deadline], default=None)
