"""Service Bus in memory: sessions in order, redelivery, delays, duplicate detection, dead letters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.ports import Message
from tests.fakes.clock import FakeClock
from tests.fakes.wire import Wire

MOST_DELIVERIES = 10
Receive = Callable[[bytes, str], Awaitable[None]]


@dataclass
class Waiting:
    """A message in the queue. `deliveries`: how often it was handed out."""

    message: Message
    visible_at: datetime
    number: int
    deliveries: int = 0


class MemoryMessages:
    """Messages and the broker behind it. `sent` keeps everything that was accepted, in order."""

    def __init__(self, clock: FakeClock, wire: Wire | None = None, window: timedelta = timedelta(minutes=10)) -> None:
        self.sent: list[Message] = []
        self.waiting: list[Waiting] = []
        self.dead: list[Message] = []
        self._seen: dict[tuple[str, str], datetime] = {}
        self._clock = clock
        self._wire = wire or Wire()
        self._window = window

    async def send(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._wire.touch(f"before send {message.queue}")
            self._accept(message)
            self._wire.touch(f"after send {message.queue}")

    async def reach(self, queue: str) -> None:
        pass

    def of(self, queue: str) -> list[Message]:
        """What was sent to a queue, duplicates too."""
        return [message for message in self.sent if message.queue == queue]

    def _accept(self, message: Message) -> None:
        now = self._clock.now()
        self.sent.append(message)
        seen = self._seen.get((message.queue, message.id))
        if seen is not None and now - seen < self._window:
            return
        self._seen[message.queue, message.id] = now
        visible = max(now, message.not_before or now)
        self.waiting.append(Waiting(message, visible, len(self.sent)))

    def due(self, queue: str) -> list[Waiting]:
        """What can be handed out now: the first visible message of each session."""
        now = self._clock.now()
        ready = sorted(
            (one for one in self.waiting if one.message.queue == queue and one.visible_at <= now),
            key=lambda one: (one.visible_at, one.number),
        )
        first: dict[str | None, Waiting] = {}
        for one in ready:
            first.setdefault(one.message.session, one)
        return list(first.values())

    async def hand_out(self, one: Waiting, receive: Receive) -> None:
        """One delivery: completed when `receive` returns, left in the queue when it raises."""
        one.deliveries += 1
        try:
            await receive(one.message.body, one.message.id)
        except Exception:
            if one.deliveries >= MOST_DELIVERIES:
                self.waiting.remove(one)
                self.dead.append(one.message)
            raise
        self.waiting.remove(one)

    def skip_to_next(self, queue: str) -> bool:
        """Let time pass until the next message is visible; False when there is none."""
        times = [one.visible_at for one in self.waiting if one.message.queue == queue]
        if not times:
            return False
        self._clock.advance(max(timedelta(0), min(times) - self._clock.now()))
        return True
