"""The queue itself: pure, synchronous, no AMQP; time is an argument of everything that depends on it."""

from __future__ import annotations

import heapq
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sandbox.servicebus.errors import MessageLockLostError, MessageNotFoundError, NotAllowedError
from sandbox.servicebus.message import Content, DeadLetter, Lock, Message, SessionLock, State
from sandbox.servicebus.sessions import Sessions
from sandbox.servicebus.spec import DEAD_LETTER_SPEC, DEAD_LETTER_SUFFIX, QueueSpec

NO_SESSION = ""


class Queue:
    """Messages by sequence number, what is ready in order by session, what is locked by token.

    Order: within a session (or in a queue without sessions) the lowest sequence number is taken first; a
    message that comes back takes its old place.
    """

    def __init__(self, name: str, spec: QueueSpec, dead_letters: Queue | None = None) -> None:
        self.name = name
        self.spec = spec
        self.dead_letters = dead_letters
        self.sessions = Sessions(spec.lock_s)
        self._messages: dict[int, Message] = {}
        self._ready: dict[str, list[int]] = {}
        self._locked: dict[uuid.UUID, Message] = {}
        self._deadlines: list[tuple[float, int]] = []
        self._seen: dict[str, float] = {}
        self._last_sequence = 0
        self._lost_sessions: list[SessionLock] = []

    # -- enqueue

    def put(self, contents: Sequence[Content], now: float) -> list[int]:
        """Take all or none; a duplicate is accepted and dropped, its number leading nowhere."""
        self.advance(now)
        if self.name.endswith(DEAD_LETTER_SUFFIX):
            raise NotAllowedError("A dead-letter queue takes no messages from senders.")
        if self.spec.sessions and not all(content.session_id for content in contents):
            raise NotAllowedError(
                "The SessionId was not set on a message, and it cannot be sent to the entity. Entities that "
                "have session support enabled can only receive messages that have the SessionId set."
            )
        return [self._accept(content, now) for content in contents]

    def _accept(self, content: Content, now: float) -> int:
        sequence = self._number()
        if self._is_duplicate(content, now):
            return sequence
        message = Message(sequence, content, enqueued_at=now)
        self._messages[sequence] = message
        if content.due_at is not None and content.due_at > now:
            message.state = State.SCHEDULED
            heapq.heappush(self._deadlines, (content.due_at, sequence))
        else:
            self._make_ready(message)
        return sequence

    def _is_duplicate(self, content: Content, now: float) -> bool:
        """The window starts when the first one is sent, scheduled or not."""
        if not self.spec.duplicate_window_s or content.message_id is None:
            return False
        while self._seen and (oldest := next(iter(self._seen.items())))[1] <= now:
            del self._seen[oldest[0]]
        if content.message_id in self._seen:
            return True
        self._seen[content.message_id] = now + self.spec.duplicate_window_s
        return False

    def _number(self) -> int:
        self._last_sequence += 1
        return self._last_sequence

    def cancel(self, sequences: Iterable[int], now: float) -> None:
        """Only a message that is still scheduled can be cancelled: all or none."""
        self.advance(now)
        found = [self._find(sequence, State.SCHEDULED) for sequence in sequences]
        for message in found:
            del self._messages[message.sequence]

    # -- receive

    def take(self, owner: str, now: float, session_id: str | None = None) -> Message | None:
        """Lock the next ready message; under a session the caller must hold it."""
        self.advance(now)
        key = self._key(session_id, owner)
        ready = self._ready.get(key)
        if not ready:
            return None
        message = self._messages[heapq.heappop(ready)]
        if not ready:
            del self._ready[key]
        return self._lock(message, owner, now)

    def take_deferred(
        self, sequences: Iterable[int], owner: str, now: float, session_id: str | None = None
    ) -> list[Message]:
        """Lock deferred messages by number: all or none."""
        self.advance(now)
        key = self._key(session_id, owner)
        found = [self._find(sequence, State.DEFERRED) for sequence in sequences]
        for message in found:
            if self._ready_key(message) != key:
                raise MessageNotFoundError(message.sequence)
        return [self._lock(message, owner, now) for message in found]

    def _key(self, session_id: str | None, owner: str) -> str:
        if not self.spec.sessions:
            return NO_SESSION
        return self.sessions.held(session_id or NO_SESSION, owner).session_id

    def _find(self, sequence: int, state: State) -> Message:
        message = self._messages.get(sequence)
        if message is None or message.state is not state or message.lock is not None:
            raise MessageNotFoundError(sequence)
        return message

    def _lock(self, message: Message, owner: str, now: float) -> Message:
        until = None if self.spec.sessions else now + self.spec.lock_s
        message.lock = Lock(uuid.uuid4(), owner, until)
        self._locked[message.lock.token] = message
        if until is not None:
            heapq.heappush(self._deadlines, (until, message.sequence))
        return message

    def locked_until(self, message: Message) -> float | None:
        if message.lock is None:
            return None
        if message.lock.until is not None:
            return message.lock.until
        return self.sessions.until(message.content.session_id or NO_SESSION)

    def peek(self, from_sequence: int, limit: int | None, session_id: str | None = None) -> list[Message]:
        """Every state, in order of sequence number, nothing locked."""
        found = [
            message
            for sequence, message in sorted(self._messages.items())
            if sequence >= from_sequence and session_id in (None, message.content.session_id)
        ]
        return found[:limit]

    # -- settle

    def complete(self, token: uuid.UUID, now: float) -> None:
        message = self._held(token, now)
        del self._locked[token], self._messages[message.sequence]

    def abandon(self, token: uuid.UUID, now: float) -> None:
        self._give_back(self._held(token, now), counted=True)

    def release(self, token: uuid.UUID, now: float) -> None:
        """Given back untouched (AMQP `released`): the attempt does not count."""
        self._give_back(self._held(token, now), counted=False)

    def defer(self, token: uuid.UUID, now: float) -> None:
        message = self._held(token, now)
        message.state = State.DEFERRED
        self._give_back(message, counted=False)

    def dead_letter(
        self, token: uuid.UUID, now: float, reason: str | None = None, description: str | None = None
    ) -> None:
        message = self._held(token, now)
        if self.dead_letters is None:
            raise NotAllowedError("A message of a dead-letter queue cannot be dead-lettered again.")
        del self._locked[token]
        self._bury(message, reason, description)

    def renew(self, tokens: Sequence[uuid.UUID], now: float) -> list[float]:
        """Message locks only: all or none."""
        if self.spec.sessions:
            raise NotAllowedError("The lock of a message in a session is the session's: renew that one.")
        messages = [self._held(token, now) for token in tokens]
        until = now + self.spec.lock_s
        for message, token in zip(messages, tokens, strict=True):
            message.lock = Lock(token, message.lock.owner if message.lock else "", until)
            heapq.heappush(self._deadlines, (until, message.sequence))
        return [until] * len(messages)

    def _held(self, token: uuid.UUID, now: float) -> Message:
        self.advance(now)
        message = self._locked.get(token)
        if message is None:
            raise MessageLockLostError
        return message

    def _give_back(self, message: Message, *, counted: bool) -> None:
        if message.lock is not None:
            del self._locked[message.lock.token]
            message.lock = None
        if counted:
            message.deliveries += 1
            if self.spec.max_delivery is not None and message.deliveries >= self.spec.max_delivery:
                self._bury(
                    message,
                    "MaxDeliveryCountExceeded",
                    f"Message could not be consumed after {self.spec.max_delivery} delivery attempts.",
                )
                return
        if message.state is State.ACTIVE:
            self._make_ready(message)

    def _make_ready(self, message: Message) -> None:
        heapq.heappush(self._ready.setdefault(self._ready_key(message), []), message.sequence)

    def _ready_key(self, message: Message) -> str:
        return (message.content.session_id or NO_SESSION) if self.spec.sessions else NO_SESSION

    def _bury(self, message: Message, reason: str | None, description: str | None) -> None:
        """Moved with its number, its count and its id: a dead-letter queue is a part of its queue."""
        del self._messages[message.sequence]
        if self.dead_letters is None:
            raise NotAllowedError(f"{self.name} has no dead-letter queue.")
        message.lock, message.state = None, State.ACTIVE
        message.dead_letter = DeadLetter(self.name, reason, description)
        self.dead_letters._adopt(message)  # noqa: SLF001 - the same class

    def _adopt(self, message: Message) -> None:
        self._messages[message.sequence] = message
        self._make_ready(message)

    # -- sessions

    def accept_session(self, session_id: str | None, owner: str, now: float) -> SessionLock | None:
        """Lock the named session, or (None) the first one with a ready message that nobody holds."""
        self.advance(now)
        if not self.spec.sessions:
            raise NotAllowedError("A queue without sessions has no session to accept.")
        chosen = session_id if session_id is not None else next(self._free_sessions(), None)
        return None if chosen is None else self.sessions.lock(chosen, owner, now)

    def _free_sessions(self) -> Iterator[str]:
        return (session_id for session_id in self._ready if not self.sessions.is_locked(session_id))

    def release_session(self, session_id: str, owner: str, now: float, *, counted: bool) -> None:
        """Messages of a session that is closed come back uncounted; of one cut off or expired, counted.

        https://learn.microsoft.com/azure/service-bus-messaging/message-sessions (impact of delivery count)
        """
        self.advance(now)
        if self.sessions.unlock(session_id, owner):
            self._return_session(session_id, counted=counted)

    def _return_session(self, session_id: str, *, counted: bool) -> None:
        mine = [message for message in self._locked.values() if message.content.session_id == session_id]
        for message in sorted(mine, key=lambda message: message.sequence):
            self._give_back(message, counted=counted)
        if session_id in self._ready:  # to the end of the line: one poisoned session must not starve the others
            self._ready[session_id] = self._ready.pop(session_id)

    def release_owner(self, owner: str, now: float) -> None:
        """The owner's connection was cut: its messages come back at once, counted.

        Service Bus lets locks outside of sessions run out; a sandbox that waits for that helps nobody.
        """
        self.advance(now)
        for message in [m for m in self._locked.values() if m.lock is not None and m.lock.owner == owner]:
            self._give_back(message, counted=True)

    def lost_sessions(self) -> list[SessionLock]:
        """Session locks that ran out since the last call: their holders are to be told."""
        lost, self._lost_sessions = self._lost_sessions, []
        return lost

    # -- time

    def advance(self, now: float) -> None:
        """Do what is due: scheduled messages become active, locks run out."""
        while self._deadlines and self._deadlines[0][0] <= now:
            moment, sequence = heapq.heappop(self._deadlines)
            message = self._messages.get(sequence)
            if message is not None:
                self._on_deadline(message, moment, now)
        for lock in self.sessions.expire(now):
            self._return_session(lock.session_id, counted=True)
            self._lost_sessions.append(lock)

    def _on_deadline(self, message: Message, moment: float, now: float) -> None:
        """A scheduled message is enqueued as if it came now, with a new number; stale entries do nothing."""
        if message.state is State.SCHEDULED and message.content.due_at == moment:
            del self._messages[message.sequence]
            message.sequence, message.enqueued_at, message.state = self._number(), now, State.ACTIVE
            self._messages[message.sequence] = message
            self._make_ready(message)
        elif message.lock is not None and message.lock.until == moment:
            self._give_back(message, counted=True)

    def next_deadline(self) -> float | None:
        moments = [*self.sessions.deadlines(), *(moment for moment, _ in self._deadlines[:1])]
        return min(moments, default=None)

    def counts(self) -> dict[str, int]:
        """As the portal counts: `active` includes what is locked or deferred."""
        scheduled = sum(message.state is State.SCHEDULED for message in self._messages.values())
        dead = len(self.dead_letters) if self.dead_letters is not None else 0
        return {"active": len(self._messages) - scheduled, "scheduled": scheduled, "deadLettered": dead}

    def __len__(self) -> int:
        return len(self._messages)


def build_queues(specs: Mapping[str, QueueSpec]) -> dict[str, Queue]:
    """Each queue and its dead-letter queue, by name in lower case."""
    queues: dict[str, Queue] = {}
    for name, spec in specs.items():
        dead = Queue(name.lower() + DEAD_LETTER_SUFFIX, DEAD_LETTER_SPEC)
        queues[dead.name] = dead
        queues[name.lower()] = Queue(name, spec, dead)
    return queues
