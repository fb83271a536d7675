"""Due offboardings become events: the batch is known as a whole before any of it is sent."""

from __future__ import annotations

from dataclasses import dataclass

from jml.events import LeaverEvent, to_message
from jml.schedule import Offboarding, is_due, release
from jml.state import Schedule
from shared.clock import Clock
from shared.errors import Conflict
from shared.ports import Messages, TableStore
from shared.telemetry import report


@dataclass(frozen=True)
class Release:
    """`tenant`: the corporate tenant's id."""

    tenant: str
    store: TableStore
    messages: Messages
    clock: Clock

    async def run(self) -> int:
        """Send what is due; returns how many events went out.

        Events first, rows after: a crash between the two sends the same event again, which is one to everybody.
        """
        now = self.clock.now()
        schedule = Schedule(self.store)
        due = [one async for one in schedule.pending() if is_due(one.offboarding, now)]
        if not due:
            return 0
        await self.messages.send([to_message(self._event(one.offboarding), now) for one in due])
        for one in due:
            try:
                await schedule.put(release(one.offboarding, now), one.version)
            except Conflict:
                report("offboarding changed meanwhile", person=one.offboarding.person)
        report("release", sent=len(due))
        return len(due)

    def _event(self, row: Offboarding) -> LeaverEvent:
        due = row.due if row.due != row.effective else None
        return LeaverEvent(self.tenant, row.person, row.effective, row.revision, row.cause, row.written, row.zone, due)
