"""A sliding window and the queue before it: never more than its limit in any stretch of its length.

The other side counts a request some time between its sending and its answer. So a request that is under way counts as
spent now, and one that was answered as spent at its answer: what this gate believes is never less than what the other
side has counted, however long the way is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from shared.clock import Clock

RESERVE = 0.01
"""Share of the window that only urgent requests may use: containment finds room at once while clean-up fills it."""
SLACK = 0.02
"""How far the other side's count may be above ours before somebody else's requests explain it."""
STEP = 0.05
"""Seconds after which it is looked again whether the one answer has come that is waited for."""
SHORTEST = 0.001
"""Seconds of the shortest sleep: a clock has its grain."""


class Full(Exception):
    """There is no room in time; there may be after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"full for {seconds:.1f} s")
        self.seconds = seconds


@dataclass(frozen=True)
class Spent:
    at: float
    amount: float
    urgent: bool


def opens(spent: Iterable[tuple[float, float]], amount: float, limit: float, seconds: float, now: float) -> float:
    """The first instant at which `amount` fits beside what is spent, oldest first: instant and amount of each."""
    entries = [(moment, one) for moment, one in spent if one > 0]
    over = sum(one for _, one in entries) + amount - limit
    at = now
    for moment, one in entries:
        if over <= 0:
            break
        over -= one
        at = max(at, moment + seconds)
    return at


@dataclass
class Gate:
    """`limit` in any `seconds`, for all who share this process's gate.

    `urgent` ones go before all others. Others leave a reserve free for them, and room for what other processes are
    known to use; they alone stand still when the other side refuses one of them.
    """

    limit: float
    seconds: float
    clock: Clock
    urgent_at: float = -1e18
    _spent: deque[Spent] = field(default_factory=deque)
    _answered: dict[bool, float] = field(default_factory=lambda: {True: 0.0, False: 0.0})
    _under_way: dict[bool, float] = field(default_factory=lambda: {True: 0.0, False: 0.0})
    _elsewhere: tuple[float, float] = (0.0, 0.0)
    _closed: dict[bool, float] = field(default_factory=lambda: {True: 0.0, False: 0.0})
    _careful: float = 0.0
    _queues: dict[bool, deque[asyncio.Event]] = field(default_factory=lambda: {True: deque(), False: deque()})

    @property
    def now(self) -> float:
        return self.clock.now().timestamp()

    def cap(self, *, urgent: bool) -> float:
        return self.limit if urgent else self.limit * (1 - RESERVE)

    async def enter(self, amount: float, *, urgent: bool, until: datetime) -> None:
        """Wait for one's turn and for room, and take it. Raises Full when there will be none by then."""
        turn, queue = asyncio.Event(), self._queues[urgent]
        deadline = until.timestamp()
        queue.append(turn)
        try:
            while True:
                turn.clear()
                if self._next() is not turn:
                    await turn.wait()
                elif (wait := self.wait(amount, urgent=urgent)) <= 0:
                    self._under_way[urgent] += amount
                    return
                elif self.now + wait > deadline:
                    raise Full(wait)
                else:
                    await self.clock.sleep(max(wait, SHORTEST))
        finally:
            queue.remove(turn)
            if (following := self._next()) is not None:
                following.set()

    def leave(self, amount: float, spent: float, *, urgent: bool) -> None:
        """The answer has come, or never will: of the `amount` that was taken, `spent` was used."""
        self._under_way[urgent] -= amount
        if spent > 0:
            self._spent.append(Spent(self.now, spent, urgent))
            self._answered[urgent] += spent
            self.urgent_at = self.now if urgent else self.urgent_at

    def close(self, seconds: float, *, urgent: bool) -> None:
        """The other side refused: nobody of the same kind enters for so long, and nobody who may wait does.

        For a window after that those who may wait go one by one: whoever shares the quota begins again at the same
        moment, and all that is under way when it is used up is refused.
        """
        for kind in {urgent, False}:
            self._closed[kind] = max(self._closed[kind], self.now + seconds)
        self._careful = self._closed[False] + self.seconds

    def hear(self, share: float | None, least_told: float) -> None:
        """The other side counts `share` of the limit (None: below `least_told`): what we do not know of is others'."""
        own = self.total()
        if share is None:
            others = min(self._elsewhere[1], max(0.0, least_told * self.limit - self.answered))
        else:
            others = share * self.limit - own
        self._elsewhere = (self.now, others) if others > SLACK * self.limit else (0.0, 0.0)

    @property
    def answered(self) -> float:
        """What the other side has counted of ours, at least."""
        self._fresh()
        return sum(self._answered.values())

    def total(self, *, urgent: bool | None = None) -> float:
        """What is spent or under way: of urgent ones, of the others, or of all (None)."""
        self._fresh()
        kinds = (True, False) if urgent is None else (urgent,)
        return sum(self._answered[kind] + self._under_way[kind] for kind in kinds)

    def entries(self, *, urgent: bool) -> list[tuple[float, float]]:
        """What stands in the way, oldest first. What others use is only believed: it holds up nobody urgent."""
        elsewhere = [self._elsewhere] if not urgent and self._elsewhere[0] + self.seconds > self.now else []
        answered = sorted([*elsewhere, *((one.at, one.amount) for one in self._fresh())])
        return [*answered, (self.now, sum(self._under_way.values()))]

    def wait(self, amount: float, *, urgent: bool) -> float:
        """Seconds until `amount` fits. What is larger than the window goes when the window is empty."""
        now, cap = self.now, self.cap(urgent=urgent)
        there = self.total() + (0.0 if urgent else self._elsewhere[1])
        fits = now if there + amount <= cap else opens(self.entries(urgent=urgent), amount, cap, self.seconds, now)
        if not urgent and self._careful > now and self._under_way[False] > 0:
            fits = max(fits, now + STEP)
        return max(fits, self._closed[urgent]) - now

    def _next(self) -> asyncio.Event | None:
        return next((queue[0] for queue in (self._queues[True], self._queues[False]) if queue), None)

    def _fresh(self) -> deque[Spent]:
        """What still counts; the rest is forgotten."""
        now = self.now
        while self._spent and self._spent[0].at + self.seconds <= now:
            over = self._spent.popleft()
            self._answered[over.urgent] -= over.amount
        return self._spent
