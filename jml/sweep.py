"""The sweep: who leaves when, noticed by reading; and the backlog, whoever should have been contained and is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from jml.baseline import Baselines, newly_gone
from jml.breaker import Breaker
from jml.gather import MsspTenant
from jml.leavedate import add
from jml.orders import Orders
from jml.people import Leaving, Person, Unknown, Verdict, judge, ordered
from jml.policy import Policy
from jml.schedule import Offboarding, State, is_overdue, observe, raise_again
from jml.state import Link, People, Schedule, Scheduled, is_over
from jml.truth import CorporateTenant
from shared.clock import Clock
from shared.ports import TableStore
from shared.telemetry import report, warn


@dataclass(frozen=True)
class SweepReport:
    """How many people were looked at, how many offboardings changed, and how many were found in the backlog.

    `believed` False: too many were newly gone, so that nothing was changed but what our own orders say.
    """

    people: int
    changed: int
    backlog: int
    nulls_mean_none: bool
    believed: bool = True


@dataclass(frozen=True)
class Sweep:
    policy: Policy
    corporate: CorporateTenant
    mssp: MsspTenant
    breaker: Breaker
    baselines: Baselines
    store: TableStore
    clock: Clock

    async def run(self) -> SweepReport:
        """One pass. Raises Transient and Denied before anything was changed by what could not be read."""
        now = self.clock.now()
        links = {link.person: link async for link in People(self.store).all() if link.accounts}
        rows = {one.offboarding.person: one async for one in Schedule(self.store).all()}
        orders = await Orders(self.store).active()
        linked, nulls_mean_none = await self.corporate.people(sorted(links))
        verdicts: dict[str, Verdict] = {
            p.id: judge(p, self.policy, nulls_mean_none=nulls_mean_none, now=now) for p in linked
        }
        ordered_now: dict[str, Verdict] = {person: ordered(order.ordered_at) for person, order in orders.items()}
        gone = newly_gone(linked, verdicts, rows, now)
        believed = await self.baselines.stands(gone, len(linked), self.policy.limits.missing)
        if believed:
            await self.breaker.measure(links)
        verdicts = {**verdicts, **ordered_now} if believed else ordered_now
        changed, seen = await self._note(verdicts, rows, now), len(linked)
        try:
            if believed:
                among, fresh = await self._discover(verdicts, rows, now)
                changed, seen = changed + fresh, seen + among
        finally:  # whoever is behind is taken up whatever became of the search for others
            backlog = await self._backlog(links, verdicts, rows, now)
        done = SweepReport(seen, changed, backlog, nulls_mean_none, believed)
        report("sweep", people=seen, changed=changed, backlog=backlog, canary=str(nulls_mean_none), gone=len(gone))
        if self.policy.leaver.canary is not None and not nulls_mean_none:
            warn("canary silent", canary=str(self.policy.leaver.canary.person))
        return done

    async def _discover(
        self, verdicts: Mapping[str, Verdict], rows: dict[str, Scheduled], now: datetime
    ) -> tuple[int, int]:
        """People in scope who are not linked and have a leave date near now: how many, and how many changed."""
        window, among, changed = self.policy.leaver.window, 0, 0
        async for page in self.corporate.leaving_between(now - window.lookback, add(now, window.lookahead)):
            found = [person for person in page if self._is_news(person, verdicts)]
            among += len(found)
            dated = {p.id: judge(p, self.policy, nulls_mean_none=False, now=now) for p in found}
            changed += await self._note(dated, rows, now)
        return among, changed

    def _is_news(self, person: Person, verdicts: Mapping[str, Verdict]) -> bool:
        """Somebody in scope who is not linked, or somebody linked whose own reading said nothing."""
        if person.id in verdicts:
            return isinstance(verdicts[person.id], Unknown)
        return self._in_scope(person)

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
        return await Schedule(self.store).try_put(row, known.version if known else "")

    async def _backlog(
        self, links: Mapping[str, Link], verdicts: Mapping[str, Verdict], rows: Mapping[str, Scheduled], now: datetime
    ) -> int:
        """Whose day has passed, whose event was sent a while ago, and whose account is not contained or not clean."""
        after = self.policy.leaver.backlog_after
        late = {
            person: rows[person]
            for person, verdict in verdicts.items()
            if person in links
            and person in rows
            and _has_left(verdict, now)
            and is_overdue(rows[person].offboarding, after, now)
        }
        accounts = {account: person for person in late for account in links[person].accounts}
        watched = sorted(accounts.keys() - self.policy.protected_accounts)
        enabled = await self.mssp.enabled(watched) if watched else frozenset()
        behind = {accounts[account] for account in enabled}
        for person in {accounts[account] for account in watched} - behind:
            if await self._is_stuck(late[person].offboarding):
                behind.add(person)
        found = 0
        for person in sorted(behind):
            if await self._put(raise_again(late[person].offboarding, now), late[person]):
                found += 1
                warn("backlog", person=person, tries=late[person].offboarding.tries + 1)
        return found

    async def _is_stuck(self, row: Offboarding) -> bool:
        """Whether its run has ended without getting as far as the mark: somebody may have mended what blocked it."""
        return row.state is State.RELEASED and await is_over(self.store, row.person)


def _has_left(verdict: Verdict, now: datetime) -> bool:
    return isinstance(verdict, Leaving) and (verdict.instant is None or verdict.instant <= now)
