"""The sweep: who leaves when, noticed by reading; and the backlog, whoever should have been contained and is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from jml.gather import MsspTenant
from jml.people import Leaving, Person, Verdict, judge
from jml.policy import Policy
from jml.schedule import Offboarding, State, observe, raise_again
from jml.state import Link, People, Schedule, Scheduled
from jml.truth import CorporateTenant
from shared.clock import Clock
from shared.errors import Conflict
from shared.ports import TableStore
from shared.telemetry import report


@dataclass(frozen=True)
class SweepReport:
    """How many people were looked at, how many offboardings changed, and how many were found in the backlog."""

    people: int
    changed: int
    backlog: int
    nulls_mean_none: bool


@dataclass(frozen=True)
class Sweep:
    policy: Policy
    corporate: CorporateTenant
    mssp: MsspTenant
    store: TableStore
    clock: Clock

    async def run(self) -> SweepReport:
        """One pass. Raises Transient and Denied before anything was changed by what could not be read."""
        now = self.clock.now()
        links = {link.person: link async for link in People(self.store).all() if link.accounts}
        rows = {one.offboarding.person: one async for one in Schedule(self.store).all()}
        linked, nulls_mean_none = await self.corporate.people(sorted(links))
        verdicts = {p.id: judge(p, self.policy, nulls_mean_none=nulls_mean_none, now=now) for p in linked}
        changed = await self._note(verdicts, rows, now)
        seen = len(linked)
        window = self.policy.leaver.window
        async for page in self.corporate.leaving_between(now - window.lookback, now + window.lookahead):
            strangers = [person for person in page if person.id not in links and self._in_scope(person)]
            seen += len(strangers)
            found = {p.id: judge(p, self.policy, nulls_mean_none=False, now=now) for p in strangers}
            changed += await self._note(found, rows, now)
        backlog = await self._backlog(links, verdicts, rows, now)
        done = SweepReport(seen, changed, backlog, nulls_mean_none)
        report("sweep", people=done.people, changed=done.changed, backlog=done.backlog, canary=str(nulls_mean_none))
        return done

    def _in_scope(self, person: Person) -> bool:
        return self.policy.in_scope(person.attributes or {})

    async def _note(self, verdicts: Mapping[str, Verdict], rows: dict[str, Scheduled], now: datetime) -> int:
        changed = 0
        for person, verdict in verdicts.items():
            known = rows.get(person)
            row = observe(known.offboarding if known else None, person, verdict, now)
            if row is not None and await self._put(row, known):
                changed += 1
                report("offboarding", person=person, state=row.state.value, revision=row.revision)
        return changed

    async def _put(self, row: Offboarding, known: Scheduled | None) -> bool:
        try:
            await Schedule(self.store).put(row, known.version if known else "")
        except Conflict:
            return False  # another sweep or a run wrote first: the next sweep looks again
        return True

    async def _backlog(
        self, links: Mapping[str, Link], verdicts: Mapping[str, Verdict], rows: Mapping[str, Scheduled], now: datetime
    ) -> int:
        """Whose day has passed, whose event was sent a while ago, and whose account can still sign in."""
        late = {
            person: rows[person]
            for person, verdict in verdicts.items()
            if person in rows and _has_left(verdict, now) and self._is_overdue(rows[person].offboarding, now)
        }
        accounts = {account: person for person in late for account in links[person].accounts}
        watched = sorted(accounts.keys() - self.policy.protected_accounts)
        enabled = await self.mssp.enabled(watched) if watched else frozenset()
        found = 0
        for person in sorted({accounts[account] for account in enabled}):
            if await self._put(raise_again(late[person].offboarding), late[person]):
                found += 1
                report("backlog", person=person)
        return found

    def _is_overdue(self, row: Offboarding, now: datetime) -> bool:
        sent = row.state in (State.RELEASED, State.RETAINED, State.DONE) and row.released_at is not None
        return sent and row.released_at + self.policy.leaver.backlog_after <= now  # type: ignore[operator]


def _has_left(verdict: Verdict, now: datetime) -> bool:
    return isinstance(verdict, Leaving) and (verdict.instant is None or verdict.instant <= now)
