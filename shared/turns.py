"""Who may begin to clean up now, and when the others come again: so that nobody waits for quota on a session's lock.

A run whose clean-up finds no room books the next free stretch of the window, behind all who booked before it, and is
saved until then; the session that it leaves contains the next person. A booking has no name: runs come back in about
the order in which they booked, or to another process. Who comes back goes before all who have not been back yet.
"""

from __future__ import annotations

from bisect import bisect, insort
from collections import deque
from dataclasses import dataclass, field

from shared.gate import Gate, opens

MOMENT = 1 / 50
"""Share of the window that a run waits for on its session: three seconds, less than coming again would cost."""
LAG = 0.01
"""Share of the window by which a plan slips each time around, for a request counts until its answer."""
QUIET = 1 / 15
"""Share of the window after which containment counts as over: ten seconds without one."""
CROWDED = 0.1
"""Share of the window that clean-up may use while people are being contained: the rest is theirs."""
CROWD_PAUSE = 1 / 5
"""Share of the window until one who found the crowd comes again: thirty seconds."""
KEPT = 1 / 5
"""Share of the window for which a promise, or a booking whose time has come, is kept: thirty seconds."""

Booking = tuple[float, float]
"""When, and how many writes."""


@dataclass
class Turns:
    """The bookings of one process before its gate for writes, those of who came again apart: each list in its order."""

    gate: Gate
    _first: list[Booking] = field(default_factory=list)
    _again: list[Booking] = field(default_factory=list)
    _promised: deque[Booking] = field(default_factory=deque)

    def ask(self, writes: int, *, again: bool) -> float:
        """Seconds after which a run with so many writes is to come again; 0: it begins now, and its room is kept.

        `again`: it was told to before.
        """
        gate, now = self.gate, self.gate.now
        moment = MOMENT * gate.seconds
        self._forget(now)
        if again:
            self._claim(now + moment)
        amount = min(float(writes), gate.cap(urgent=False) / 2)
        promised = (now, sum(one for _, one in self._promised))
        taken = sorted([*gate.entries(urgent=False), promised])
        at = max(self._behind(taken, amount, now, again=again), now + self._crowd(amount, now))
        wait = max(at - now, gate.wait(0, urgent=False))
        if wait <= moment:
            self._promised.append((now, amount))
            return 0.0
        insort(self._again if again else self._first, (now + wait, amount))
        return wait - moment

    def use(self, writes: float) -> None:
        """So many writes of those who were let in have entered the gate: their room is no longer kept."""
        while writes > 0 and self._promised:
            at, amount = self._promised.popleft()
            if amount > writes:
                self._promised.appendleft((at, amount - writes))
            writes -= amount

    def _claim(self, until: float) -> None:
        """One who booked is here: the first booking whose time has come is theirs."""
        due = [queue for queue in (self._again, self._first) if queue and queue[0][0] <= until]
        if due:
            min(due).pop(0)

    def _behind(self, taken: list[Booking], amount: float, now: float, *, again: bool) -> float:
        """When there is room: for who comes again, behind those who are to come before that; for others, behind all.

        All of it is about one moment, `now`: a clock that goes on would never let the search end.
        """
        booked = sorted((max(at, now), one) for at, one in (*self._again, *(() if again else self._first)))
        if not again:
            return self._opens([*taken, *booked], amount, now, 1 + LAG)
        at, before = now, -1.0
        while at > before:
            before = at
            at = self._opens([*taken, *(one for one in booked if one[0] <= before)], amount, now, 1.0)
        return at

    def _opens(self, standing: list[Booking], amount: float, now: float, stretch: float) -> float:
        return opens(standing, amount, self.gate.cap(urgent=False), self.gate.seconds * stretch, now)

    def _crowd(self, amount: float, now: float) -> float:
        """Seconds to stand back while others are being contained."""
        gate = self.gate
        if now - gate.urgent_at > QUIET * gate.seconds:
            return 0.0
        used = gate.total(urgent=False) + sum(one for _, one in self._promised) + amount
        return CROWD_PAUSE * gate.seconds if used > CROWDED * gate.limit else 0.0

    def _forget(self, now: float) -> None:
        """Promises that were not used, and bookings that nobody came for: another process has served them."""
        kept = KEPT * self.gate.seconds
        while self._promised and self._promised[0][0] + kept <= now:
            self._promised.popleft()
        for booked in (self._first, self._again):
            del booked[: bisect(booked, (now - kept, 0.0))]
