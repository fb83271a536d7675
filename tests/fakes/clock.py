"""Time that passes only when somebody sleeps."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

MORNING = datetime(2026, 3, 2, 9, 0, 0, 250_000, tzinfo=UTC)
"""A Monday; the fraction shows who compares instants with what Graph cuts to seconds."""


class FakeClock:
    """`slept` holds the length of every sleep, in seconds."""

    def __init__(self, start: datetime = MORNING) -> None:
        self._now = start
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._now

    def seconds(self) -> float:
        """The same as seconds since 1970, as the sandbox counts."""
        return self._now.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, period: timedelta | float) -> None:
        self._now += period if isinstance(period, timedelta) else timedelta(seconds=period)
