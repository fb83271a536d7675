"""The pure queue, rule by rule; time is what the test says it is."""

from __future__ import annotations

import uuid

import pytest

from sandbox.servicebus.errors import (
    MessageLockLostError,
    MessageNotFoundError,
    NotAllowedError,
    SessionCannotBeLockedError,
    SessionLockLostError,
)
from sandbox.servicebus.message import Content, Message, State
from sandbox.servicebus.queue import Queue, build_queues
from sandbox.servicebus.spec import QueueSpec

T0 = 1_000.0


def plain(**settings: float) -> Queue:
    return build_queues({"q": QueueSpec(lock_s=10, **settings)})["q"]  # type: ignore[arg-type]


def with_sessions(**settings: float) -> Queue:
    return build_queues({"q": QueueSpec(sessions=True, lock_s=10, **settings)})["q"]  # type: ignore[arg-type]


def content(text: str, session: str | None = None, due: float | None = None) -> Content:
    return Content(payload=text.encode(), message_id=text, session_id=session, due_at=due)


def taken(queue: Queue, now: float = T0, owner: str = "me", session: str | None = None) -> Message:
    message = queue.take(owner, now, session)
    assert message is not None
    return message


def token(message: Message) -> uuid.UUID:
    assert message.lock is not None
    return message.lock.token


def text(message: Message | None) -> str | None:
    return None if message is None else message.content.payload.decode()


def test_an_abandoned_message_comes_back_in_its_old_place_with_its_count_raised() -> None:
    queue = plain()
    queue.put([content("a"), content("b")], T0)
    first = taken(queue)
    queue.abandon(token(first), T0)
    again = taken(queue)
    assert (text(again), again.deliveries) == ("a", 1)


def test_a_released_message_comes_back_uncounted() -> None:
    queue = plain()
    queue.put([content("a")], T0)
    queue.release(token(taken(queue)), T0)
    assert taken(queue).deliveries == 0


def test_a_lock_that_ran_out_returns_the_message_counted_and_settles_nothing() -> None:
    queue = plain()
    queue.put([content("a")], T0)
    late = token(taken(queue))
    assert queue.take("you", T0 + 9.9) is None
    with pytest.raises(MessageLockLostError):
        queue.complete(late, T0 + 10)
    assert taken(queue, T0 + 10).deliveries == 1


def test_a_renewed_lock_outlives_its_first_term() -> None:
    queue = plain()
    queue.put([content("a")], T0)
    message = taken(queue)
    assert queue.renew([token(message)], T0 + 9) == [T0 + 19]
    queue.complete(token(message), T0 + 18)
    assert queue.counts()["active"] == 0


def test_the_last_delivery_ends_in_the_dead_letters_with_the_documented_reason() -> None:
    queue = plain(max_delivery=2)
    queue.put([content("a")], T0)
    for _ in range(2):
        queue.abandon(token(taken(queue)), T0)
    assert queue.dead_letters is not None
    dead = taken(queue.dead_letters)
    assert dead.dead_letter is not None
    assert (dead.dead_letter.reason, dead.dead_letter.source) == ("MaxDeliveryCountExceeded", "q")
    assert queue.counts() == {"active": 0, "scheduled": 0, "deadLettered": 1}


def test_a_dead_letter_is_never_dead_lettered_again() -> None:
    queue = plain()
    queue.put([content("a")], T0)
    queue.dead_letter(token(taken(queue)), T0, "Bad", "why")
    dead = queue.dead_letters
    assert dead is not None
    for _ in range(20):
        dead.abandon(token(taken(dead)), T0)
    with pytest.raises(NotAllowedError):
        dead.dead_letter(token(taken(dead)), T0)
    with pytest.raises(NotAllowedError):
        dead.put([content("b")], T0)
    assert len(dead) == 1


def test_a_deferred_message_is_only_had_by_its_number() -> None:
    queue = plain()
    queue.put([content("a")], T0)
    message = taken(queue)
    queue.defer(token(message), T0)
    assert queue.take("me", T0) is None
    with pytest.raises(MessageNotFoundError):
        queue.take_deferred([message.sequence, 99], "me", T0)
    [again] = queue.take_deferred([message.sequence], "me", T0)
    queue.abandon(token(again), T0)
    assert again.state is State.DEFERRED
    assert queue.take("me", T0) is None


def test_a_scheduled_message_is_enqueued_when_due_with_a_new_number() -> None:
    queue = plain()
    [number] = queue.put([content("later", due=T0 + 5)], T0)
    queue.put([content("now")], T0)
    assert queue.counts() == {"active": 1, "scheduled": 1, "deadLettered": 0}
    assert queue.next_deadline() == T0 + 5
    assert text(taken(queue, T0 + 4)) == "now"
    due = taken(queue, T0 + 5)
    assert (text(due), due.enqueued_at) == ("later", T0 + 5)
    assert due.sequence > number


def test_a_cancelled_message_never_arrives_and_an_unknown_number_cancels_nothing() -> None:
    queue = plain()
    [number] = queue.put([content("later", due=T0 + 5)], T0)
    with pytest.raises(MessageNotFoundError):
        queue.cancel([number, 99], T0)
    queue.cancel([number], T0)
    assert queue.take("me", T0 + 6) is None
    assert len(queue) == 0


def test_a_duplicate_inside_the_window_is_dropped_scheduled_or_not() -> None:
    queue = plain(duplicate_window_s=60)
    queue.put([content("a", due=T0 + 100)], T0)
    queue.put([content("a")], T0 + 30)
    queue.put([content("a", due=T0 + 40)], T0 + 30)
    assert len(queue) == 1
    queue.put([content("a")], T0 + 60)
    assert len(queue) == 2


def test_a_message_without_an_id_is_nobody_s_duplicate() -> None:
    queue = plain(duplicate_window_s=60)
    queue.put([Content(b"x"), Content(b"x")], T0)
    assert len(queue) == 2


def test_a_batch_with_one_message_that_lacks_its_session_is_refused_whole() -> None:
    queue = with_sessions()
    with pytest.raises(NotAllowedError):
        queue.put([content("a", "s"), content("b")], T0)
    assert len(queue) == 0


def test_a_session_is_held_by_one_and_its_messages_by_no_other() -> None:
    queue = with_sessions()
    queue.put([content("a", "s")], T0)
    queue.accept_session("s", "me", T0)
    with pytest.raises(SessionCannotBeLockedError):
        queue.accept_session("s", "you", T0)
    with pytest.raises(SessionLockLostError):
        queue.take("you", T0, "s")
    assert queue.accept_session(None, "you", T0) is None
    assert text(taken(queue, session="s")) == "a"


def test_the_next_available_session_is_one_with_a_ready_message() -> None:
    queue = with_sessions()
    queue.put([content("later", "s", due=T0 + 5)], T0)
    assert queue.accept_session(None, "me", T0) is None
    lock = queue.accept_session(None, "me", T0 + 5)
    assert lock is not None
    assert lock.session_id == "s"


def test_a_released_session_goes_to_the_end_of_the_line() -> None:
    queue = with_sessions()
    queue.put([content("a", "poisoned"), content("b", "other")], T0)
    queue.accept_session(None, "me", T0)
    queue.release_session("poisoned", "me", T0, counted=False)
    lock = queue.accept_session(None, "me", T0)
    assert lock is not None
    assert lock.session_id == "other"


@pytest.mark.parametrize(("counted", "deliveries"), [(False, 0), (True, 1)])
def test_a_closed_session_returns_its_messages_uncounted_and_a_cut_one_counted(counted: bool, deliveries: int) -> None:
    queue = with_sessions()
    queue.put([content("a", "s"), content("b", "s")], T0)
    queue.accept_session("s", "me", T0)
    taken(queue, session="s")
    taken(queue, session="s")
    queue.release_session("s", "me", T0, counted=counted)
    queue.accept_session("s", "you", T0)
    first = taken(queue, owner="you", session="s")
    assert (text(first), first.deliveries) == ("a", deliveries)


def test_a_session_lock_that_ran_out_is_reported_once_and_its_messages_return() -> None:
    queue = with_sessions()
    queue.put([content("a", "s")], T0)
    queue.accept_session("s", "me", T0)
    late = token(taken(queue, session="s"))
    queue.sessions.renew("s", "me", T0 + 5)
    queue.advance(T0 + 14)
    assert queue.lost_sessions() == []
    queue.advance(T0 + 15)
    assert [lock.owner for lock in queue.lost_sessions()] == ["me"]
    assert queue.lost_sessions() == []
    with pytest.raises(MessageLockLostError):
        queue.complete(late, T0 + 15)
    queue.release_session("s", "me", T0 + 15, counted=True)
    queue.accept_session("s", "you", T0 + 15)
    assert taken(queue, T0 + 15, "you", "s").deliveries == 1


def test_session_state_belongs_to_the_holder_and_outlives_the_lock() -> None:
    queue = with_sessions()
    queue.accept_session("s", "me", T0)
    queue.sessions.set_state("s", "me", b"half")
    with pytest.raises(SessionLockLostError):
        queue.sessions.set_state("s", "you", b"mine")
    queue.release_session("s", "me", T0, counted=False)
    queue.accept_session("s", "you", T0)
    assert queue.sessions.state("s", "you") == b"half"
    queue.sessions.set_state("s", "you", None)
    assert queue.sessions.state("s", "you") is None


def test_a_deferred_message_of_another_session_is_not_found() -> None:
    queue = with_sessions()
    queue.put([content("a", "s"), content("b", "t")], T0)
    queue.accept_session("s", "me", T0)
    queue.accept_session("t", "me", T0)
    message = taken(queue, session="s")
    queue.defer(token(message), T0)
    with pytest.raises(MessageNotFoundError):
        queue.take_deferred([message.sequence], "me", T0, "t")


def test_a_cut_owner_s_messages_come_back_counted_and_nobody_else_s() -> None:
    queue = plain()
    queue.put([content("a"), content("b")], T0)
    taken(queue, owner="me")
    kept = taken(queue, owner="you")
    queue.release_owner("me", T0)
    assert (text(again := taken(queue)), again.deliveries) == ("a", 1)
    queue.complete(token(kept), T0)


def test_message_locks_of_a_session_are_the_session_s() -> None:
    queue = with_sessions()
    queue.put([content("a", "s")], T0)
    queue.accept_session("s", "me", T0)
    message = taken(queue, session="s")
    assert queue.locked_until(message) == T0 + 10
    with pytest.raises(NotAllowedError):
        queue.renew([token(message)], T0)


def test_peek_shows_every_state_in_order_and_locks_nothing() -> None:
    queue = plain()
    queue.put([content("a"), content("b"), content("c", due=T0 + 5)], T0)
    taken(queue)
    assert [text(message) for message in queue.peek(0, None)] == ["a", "b", "c"]
    assert [text(message) for message in queue.peek(2, 1)] == ["b"]
    assert text(taken(queue)) == "b"
