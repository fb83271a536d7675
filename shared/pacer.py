"""Keeps one process within one tenant's quotas of Graph: nothing is sent that would be answered 429.

All that this process sends to the tenant passes here. Other processes, and other copies of this one, share the quotas:
they are noticed by the share that Graph tells, and by a 429.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from shared.clock import Clock
from shared.gate import Full, Gate
from shared.ports import Call, Reply
from shared.quota import DOCUMENTED, Quota, is_write, units_of
from shared.turns import Turns

THROTTLED = 429
TOLD_FROM = 0.8
"""Graph tells the used share of a quota from here upwards, and nothing below (Microsoft: throttling, headers)."""
CERTAIN = 0.9
"""Used share of what we think the quota is, from which silence means that it is larger."""
MARGIN = 0.05
"""How far the share that is told of the units moves between two answers."""
REST = 1 / 15
"""Share of a window for which a 429 without `Retry-After` closes it."""


class Pacer:
    """The gates of one tenant's `quota`.

    Nobody tells the tenant's size: it begins with the fewest units, and what is answered shows whether it has more.
    """

    def __init__(self, clock: Clock, quota: Quota = DOCUMENTED) -> None:
        self._tiers = quota.units
        self.units = Gate(quota.units[0], quota.unit_seconds, clock)
        self.writes = Gate(quota.writes, quota.write_seconds, clock)
        self._turns = Turns(self.writes)
        self._units_told = (0.0, 0.0)

    def room(self, writes: int, *, again: bool) -> float:
        """As `Graph.room` says."""
        return self._turns.ask(writes, again=again)

    async def send(
        self, calls: Sequence[Call], request: Callable[[], Awaitable[list[Reply]]], *, urgent: bool, until: datetime
    ) -> list[Reply]:
        """Make the request that carries `calls` once all of them fit; when that cannot be by `until`, say when."""
        writes = sum(map(is_write, calls))
        units = sum(map(units_of, calls))
        try:
            await self._enter(writes, units, urgent=urgent, until=until)
        except Full as full:
            return [Reply(THROTTLED, {"error": {"code": "QuotaUsed"}}, retry_after=full.seconds)] * len(calls)
        replies: list[Reply] = []
        try:
            replies += await request()
        finally:
            told = [None] * len(calls) if not replies else [reply.units for reply in replies]
            cost = sum(units_of(call) if known is None else known for call, known in zip(calls, told, strict=True))
            self.writes.leave(writes, writes, urgent=urgent)
            self.units.leave(units, cost, urgent=urgent)
        self._learn(calls, replies, urgent=urgent)
        return replies

    async def _enter(self, writes: int, units: int, *, urgent: bool, until: datetime) -> None:
        """Through both gates, writes first: whoever only reads does not stand behind who waits to write."""
        if writes:
            await self.writes.enter(writes, urgent=urgent, until=until)
        try:
            await self.units.enter(units, urgent=urgent, until=until)
        except BaseException:
            self.writes.leave(writes, 0, urgent=urgent)
            raise
        if not urgent:
            self._turns.use(writes)

    def _learn(self, calls: Sequence[Call], replies: Sequence[Reply], *, urgent: bool) -> None:
        for gate, writing in ((self.units, False), (self.writes, True)):
            said = [reply for call, reply in zip(calls, replies, strict=True) if is_write(call) is writing]
            refused = [reply for reply in said if reply.status == THROTTLED]
            if _is_ours(refused, said):
                asked = max(r.retry_after or gate.seconds * REST for r in refused)
                gate.close(min(asked, gate.seconds), urgent=urgent)  # by then nothing counts that was sent before
                self._shrink(gate)
            elif any(reply.ok for reply in said):
                self._hear(max((r.share for r in said if r.share is not None), default=None), writing=writing)

    def _hear(self, share: float | None, *, writing: bool) -> None:
        """A reading tells the share of the units; a write the larger of both, which that of the units may explain."""
        if share is None and self.units.answered > CERTAIN * self.units.limit:
            self.units.limit = next((tier for tier in self._tiers if tier > self.units.limit), self.units.limit)
        if not writing:
            self.units.hear(share, TOLD_FROM)
            self._units_told = (self.units.now, share or 0.0)
        elif share is None or share > self._units_share() + MARGIN:
            self.writes.hear(share, TOLD_FROM)

    def _units_share(self) -> float:
        """The used share of the units, as far as it is known: what readings were told, or what we use ourselves."""
        at, told = self._units_told
        fresh = at + self.units.seconds > self.units.now
        return max(told if fresh else 0.0, self.units.total() / self.units.limit)

    def _shrink(self, gate: Gate) -> None:
        """A refused reading: the tenant is smaller than its answers seemed to say, or others use its units too."""
        lower = tuple(tier for tier in self._tiers if tier < self.units.limit)
        if gate is self.units and lower:
            self.units.limit, self._tiers = lower[-1], lower


def _is_ours(refused: Sequence[Reply], said: Sequence[Reply]) -> bool:
    """Whether a 429 means these quotas: it tells their share, or lets nothing through of a request of several parts.

    Any other is a service's own, as of PIM: that call waits by itself, and the rest goes on.
    """
    return any(reply.share is not None for reply in refused) or (len(refused) > 1 and len(refused) == len(said))
