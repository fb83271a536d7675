"""Due offboardings become events: the batch is judged as a whole before any of it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jml.breaker import Breaker, Direction, admits, window
from jml.events import LeaverEvent, to_message
from jml.held import Hold
from jml.holds import Holds, by_direction
from jml.schedule import Offboarding, State, is_due, release
from jml.state import Schedule, Scheduled
from shared.clock import Clock
from shared.ports import Messages, TableStore
from shared.telemetry import report


@dataclass(frozen=True)
class Release:
    """`tenant`: the corporate tenant's id."""

    tenant: str
    store: TableStore
    messages: Messages
    breaker: Breaker
    holds: Holds
    clock: Clock

    async def run(self) -> int:
        """Send what is due and not too much at once; returns how many events went out."""
        now = self.clock.now()
        waiting = await self.holds.settle()
        due = [one async for one in Schedule(self.store).pending() if is_due(one.offboarding, now)]
        counted = [one for one in due if _counts(one.offboarding)]
        sent = [one for one in due if one not in counted]
        for direction, batch in by_direction(counted).items():
            sent += await self._judged(direction, batch, waiting)
        await self.send(sent)
        if due:
            report("release", sent=len(sent), held=len(due) - len(sent))
        return len(sent)

    async def send(self, due: Sequence[Scheduled]) -> None:
        """Events first, rows after: a crash between the two sends the same event again, which is one to everybody."""
        now = self.clock.now()
        if due:
            await self.messages.send([to_message(self._event(one.offboarding), now) for one in due])
        for one in due:
            await Schedule(self.store).try_put(release(one.offboarding, now), one.version)

    async def _judged(
        self, direction: Direction, batch: Sequence[Scheduled], waiting: Sequence[Hold]
    ) -> Sequence[Scheduled]:
        """What of the batch may be sent: all of it, or only those who have a place already; the others are held."""
        seen = await self.breaker.look(direction)
        placed = self.breaker.within(seen)
        first = self.clock.now() - window(direction, self.breaker.limits)
        held = sum(one.people for one in waiting if one.direction is direction and one.opened_at > first)
        fresh = [one for one in batch if one.offboarding.person not in placed]
        if not fresh or admits(len(fresh), held, len(placed), seen.most):
            return batch
        beside = f"beside {len(placed)} in this window and {held} held already"
        reason = f"{len(fresh)} {direction}s are due at once, {beside}; the policy takes {seen.most}"
        await self.holds.open(fresh, direction, reason)
        return [one for one in batch if one not in fresh]

    def _event(self, row: Offboarding) -> LeaverEvent:
        due = row.due if row.due != row.effective else None
        return LeaverEvent(self.tenant, row.person, row.effective, row.revision, row.cause, row.written, row.zone, due)


def _counts(row: Offboarding) -> bool:
    """Deletions follow what was counted before, what was let out is past the breaker, and a run that is taken up again
    takes its place itself.
    """
    return row.state is State.SCHEDULED and not row.passed and row.tries == 0
