"""The Functions host and its session queue in memory: many sessions side by side, a person's messages one by one."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from shared.clock import Clock
from shared.ports import Message

Receive = Callable[[bytes, str], Awaitable[None]]


class MemoryHost:
    """Messages of the lifecycle queue are handed out in the order in which they fall due; nothing is redelivered."""

    def __init__(self, clock: Clock, sessions: int = 8) -> None:
        self.handled = 0
        self._clock = clock
        self._sessions = sessions
        self._waiting: list[tuple[datetime, int, Message]] = []
        self._numbers = itertools.count()
        self._busy: set[str | None] = set()
        self._news = asyncio.Event()

    async def send(self, messages: Sequence[Message]) -> None:
        now = self._clock.now()
        for message in messages:
            heapq.heappush(self._waiting, (max(now, message.not_before or now), next(self._numbers), message))
        self._news.set()

    async def reach(self, queue: str) -> None:
        pass

    async def work(self, receive: Receive) -> None:
        """Hand out messages until there are none and nobody works on one."""
        workers = [asyncio.create_task(self._session(receive)) for _ in range(self._sessions)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()

    async def _session(self, receive: Receive) -> None:
        while self._waiting or self._busy:
            message = self._take()
            if message is None:
                await self._until_news()
                continue
            self._busy.add(message.session)
            try:
                await receive(message.body, message.id)
            finally:
                self._busy.discard(message.session)
                self.handled += 1
                self._news.set()

    def _take(self) -> Message | None:
        """The first that is due and whose session is free."""
        now, passed = self._clock.now(), []
        found: Message | None = None
        while found is None and self._waiting and self._waiting[0][0] <= now:
            entry = heapq.heappop(self._waiting)
            if entry[2].session in self._busy:
                passed.append(entry)
            else:
                found = entry[2]
        for entry in passed:
            heapq.heappush(self._waiting, entry)
        return found

    async def _until_news(self) -> None:
        """Until something is sent or done, or the next message falls due."""
        self._news.clear()
        due = (self._waiting[0][0] - self._clock.now()).total_seconds() if self._waiting else 0.0
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), due if due > 0 else None)
