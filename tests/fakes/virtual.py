"""Time that many tasks share: it passes, at once, whenever everybody waits for it. The same run each time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from tests.fakes.clock import MORNING, FakeClock

T = TypeVar("T")


class _Jump(selectors.DefaultSelector):
    """Where a loop would wait for its next timer, it is that late already."""

    time = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits for somebody else")
        self.time += timeout
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.time


class VirtualClock(FakeClock):
    """The clock of whatever `in_virtual_time` runs."""

    def now(self) -> datetime:
        return MORNING + timedelta(seconds=asyncio.get_running_loop().time())

    def seconds(self) -> float:
        return self.now().timestamp()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def in_virtual_time(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end, on a loop of its own, in no time."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)
