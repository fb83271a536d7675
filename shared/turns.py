"""Who may begin to clean up now, and when the others come again: so that nobody waits for quota on a session's lock.

A run whose clean-up finds no room books the next free stretch of the window, behind all who booked before it, and is
saved until then; the session that it leaves contains the next person. A booking has no name: runs come back in about
the order in which they booked, or to another process, and whoever comes back goes before those who never waited.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from shared.gate import Gate, opens

MOMENT = 1 / 75
"""Share of the window that a run waits for on its session: two seconds, less than coming again would cost."""
QUIET = 1 / 15
"""Share of the window after which containment counts as over: ten seconds without one."""
CROWDED = 0.25
"""Share of the window that clean-up may use while people are being contained: the rest is theirs."""
CROWD_PAUSE = 1 / 5
"""Share of the window until one who found the crowd comes again: thirty seconds."""
KEPT = 1 / 5
"""Share of the window for which a promise, or a booking whose time has come, is kept: thirty seconds."""


@dataclass
class Turns:
    """The bookings of one process before its gate for writes: instant and amount of each, in order."""

    gate: Gate
    _booked: deque[tuple[float, float]] = field(default_factory=deque)
    _promised: deque[tuple[float, float]] = field(default_factory=deque)

    def ask(self, writes: int, *, again: bool) -> float:
        """Seconds after which a run with so many writes is to come again; 0: it begins now, and its room is kept.

        `again`: it was told to before.
        """
        gate, now = self.gate, self.gate.now
        self._forget(now)
        amount = min(float(writes), gate.cap(urgent=False) / 2)
        if again and self._booked and self._booked[0][0] <= now + MOMENT * gate.seconds:
            self._booked.popleft()
        taken = [*gate.entries(urgent=False), (now, sum(one for _, one in self._promised))]
        booked = [(max(at, now), one) for at, one in self._booked]
        ahead = taken if again else [*taken, *booked]
        wait = max(self._opens(ahead, amount, now) - now, self._crowd(amount, now), gate.wait(0, urgent=False))
        if wait <= MOMENT * gate.seconds:
            self._promised.append((now, amount))
            return 0.0
        last = booked[-1][0] if booked else now
        at = max(now + wait, last, self._opens([*taken, *booked], amount, now))
        self._booked.append((at, amount))
        return at - now - MOMENT * gate.seconds / 2

    def use(self, writes: float) -> None:
        """So many writes of those who were let in have entered the gate: their room is no longer kept."""
        while writes > 0 and self._promised:
            at, amount = self._promised.popleft()
            if amount > writes:
                self._promised.appendleft((at, amount - writes))
            writes -= amount

    def _opens(self, entries: list[tuple[float, float]], amount: float, now: float) -> float:
        return opens(entries, amount, self.gate.cap(urgent=False), self.gate.seconds, now)

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
        for waiting in (self._promised, self._booked):
            while waiting and waiting[0][0] + kept <= now:
                waiting.popleft()
