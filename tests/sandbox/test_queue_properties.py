"""Random histories of one queue: nothing lost, order within a session, duplicates dropped, counts right."""

from __future__ import annotations

import uuid
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sandbox.servicebus.message import Content, Message
from sandbox.servicebus.queue import build_queues
from sandbox.servicebus.spec import QueueSpec

SESSIONS = st.sampled_from(["s", "t", "u"])
WINDOW_S, LOCK_S, MAX_DELIVERY = 30.0, 10.0, 3


class Histories(RuleBasedStateMachine):
    """The model: which ids were accepted, which completed, and who holds what."""

    @initialize(sessions=st.booleans())
    def begin(self, sessions: bool) -> None:
        spec = QueueSpec(sessions=sessions, duplicate_window_s=WINDOW_S, lock_s=LOCK_S, max_delivery=MAX_DELIVERY)
        self.queue = build_queues({"q": spec})["q"]
        self.sessions = sessions
        self.now = 0.0
        self.accepted: Counter[str] = Counter()
        self.finished: Counter[str] = Counter()
        self.seen: dict[str, float] = {}
        self.held: set[str] = set()
        self.locked: dict[uuid.UUID, Message] = {}

    def refresh(self) -> None:
        """Forget what the queue has taken back by itself."""
        self.queue.advance(self.now)
        self.held -= {lock.session_id for lock in self.queue.lost_sessions()}
        self.locked = {
            token: message
            for token, message in self.locked.items()
            if message.lock is not None and message.lock.token == token
        }

    @rule(number=st.integers(0, 8), session=SESSIONS, delay=st.sampled_from([None, 0, 5, 40]))
    def send(self, number: int, session: str, delay: float | None) -> None:
        identity = f"m{number}"
        due = None if delay is None else self.now + delay
        self.queue.put([Content(b"x", identity, session, due)], self.now)
        if self.seen.get(identity, -1.0) <= self.now:
            self.seen[identity] = self.now + WINDOW_S
            self.accepted[identity] += 1
        self.refresh()

    @rule(seconds=st.sampled_from([0.5, 4, 11, 31]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.refresh()

    @precondition(lambda self: self.sessions)
    @rule()
    def accept_next(self) -> None:
        lock = self.queue.accept_session(None, "me", self.now)
        if lock is not None:
            assert lock.session_id not in self.held
            self.held.add(lock.session_id)

    @rule(session=SESSIONS)
    def take(self, session: str) -> None:
        if self.sessions and session not in self.held:
            return
        message = self.queue.take("me", self.now, session)
        if message is None:
            return
        assert message.lock is not None
        ready_before = [
            other
            for other in self.queue.peek(0, message.sequence)
            if other.sequence < message.sequence and other.lock is None and other.state == 0
        ]
        if self.sessions:
            assert message.content.session_id == session
            ready_before = [other for other in ready_before if other.content.session_id == session]
        assert not ready_before, "an older message of the session was passed over"
        self.locked[message.lock.token] = message

    @precondition(lambda self: self.locked)
    @rule(data=st.data(), how=st.sampled_from(["complete", "abandon", "release", "dead_letter"]))
    def settle(self, data: st.DataObject, how: str) -> None:
        token = data.draw(st.sampled_from(sorted(self.locked)))
        message = self.locked.pop(token)
        before = message.deliveries
        getattr(self.queue, how)(token, self.now)
        if how == "complete":
            self.finished[message.content.message_id or ""] += 1
        assert message.deliveries == before + (how == "abandon")

    @precondition(lambda self: self.held)
    @rule(data=st.data(), cut=st.booleans())
    def let_go(self, data: st.DataObject, cut: bool) -> None:
        session = data.draw(st.sampled_from(sorted(self.held)))
        self.held.remove(session)
        self.queue.release_session(session, "me", self.now, counted=cut)
        self.refresh()

    @precondition(lambda self: not self.sessions)
    @rule()
    def cut_connection(self) -> None:
        self.queue.release_owner("me", self.now)
        self.refresh()
        assert not self.locked

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        if not hasattr(self, "queue"):
            return
        dead = self.queue.dead_letters
        assert dead is not None
        there = Counter(message.content.message_id for message in self.queue.peek(0, None))
        there.update(message.content.message_id for message in dead.peek(0, None))
        assert there + self.finished == self.accepted

    @invariant()
    def counts_and_deliveries_are_right(self) -> None:
        if not hasattr(self, "queue"):
            return
        counts = self.queue.counts()
        assert counts["active"] + counts["scheduled"] == len(self.queue)
        assert all(message.deliveries < MAX_DELIVERY for message in self.queue.peek(0, None))

    @invariant()
    def an_alarm_is_set_while_anything_can_change_by_itself(self) -> None:
        if hasattr(self, "queue") and (self.locked or self.queue.counts()["scheduled"]):
            deadline = self.queue.next_deadline()
            assert deadline is not None
            assert deadline > self.now


Histories.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestHistories = Histories.TestCase
