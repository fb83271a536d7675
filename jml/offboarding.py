"""A leaver's run as the loop sees it: what to read, what to plan, what to send."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from jml import leaver
from jml.accounts import Account, Administrators, Snapshot
from jml.admission import Admission, read_admission
from jml.breaker import Breaker
from jml.correlation import Stopped, correlate
from jml.events import LeaverEvent
from jml.gather import GUEST_UNKNOWN, MsspTenant
from jml.identity import person_key
from jml.leaver import Terms, kept_until
from jml.people import Leaving, Staying, Unknown, Verdict, judge, ordered
from jml.requests import judge_reply, request
from jml.schedule import Offboarding, State
from jml.steps import Containment, LeaverStep, RemoveMethod
from jml.truth import CorporateTenant
from shared.clock import to_text
from shared.errors import Denied, Refused, Transient
from shared.plan import Attempt, Chain, Finding, Observation, Plan, Result, RunOutcome
from shared.ports import Graph, TableStore
from shared.replies import LEFT_OUT
from shared.together import together


class LeaverRun:
    """The work of one run. Its first reading decides who leaves and which accounts are theirs; raises Stopped.

    `row`: the person's row in the schedule. `waited`: the run has been saved before, to come again. `counted`: an
    earlier slice has taken its place in the window.
    """

    def __init__(
        self,
        event: LeaverEvent,
        linked: frozenset[str],
        terms: Terms,
        *,
        waited: bool,
        corporate: CorporateTenant,
        mssp: MsspTenant,
        writer: Graph,
        store: TableStore,
        breaker: Breaker,
        row: Offboarding | None,
        counted: bool,
    ) -> None:
        self._event = event
        self._linked = linked
        self.terms = terms
        self._store = store
        self._breaker = breaker
        self._row = row
        self._counted = counted
        self._corporate = corporate
        self._mssp = mssp
        self._writer = writer
        self._admission: Admission | None = None
        self._snapshot: Snapshot | None = None
        self._guests: dict[str, tuple[Finding, ...]] = {}
        self._waited = waited
        self._has_turn = False
        self._reading: asyncio.Task[Snapshot] | None = None

    @property
    def snapshot(self) -> Snapshot:
        if self._snapshot is None:
            raise RuntimeError("nothing was read yet")
        return self._snapshot

    @property
    def found(self) -> frozenset[str]:
        """The person's accounts, as far as they were read."""
        return frozenset(self._snapshot.accounts) if self._snapshot else frozenset()

    def begin(self) -> None:
        """Start the first reading, so that it goes on side by side with what the caller does until `gather`."""
        self._reading = asyncio.create_task(self._first())

    def drop(self) -> None:
        """Give up the reading that was begun: nobody will ask what came of it."""
        if self._reading is not None:
            self._reading.add_done_callback(lambda reading: reading.cancelled() or reading.exception())
            self._reading.cancel()

    async def gather(self, *, deep: bool, references: Mapping[str, str]) -> None:
        if not deep or self._snapshot is None:
            begun, self._reading = self._reading, None
            self._snapshot = await (begun or self._first())
        if deep:
            await self._deepen(references)

    async def _first(self) -> Snapshot:
        """Person and accounts side by side: the truth again, what containment needs, and what our own rows say."""
        event, policy = self._event, self.terms.policy
        key = person_key(event.tenant, event.person)
        truth, (by_link, by_key, admins), self._admission = await asyncio.gather(
            self._truth(),
            self._mssp.accounts(self._linked, key),
            read_admission(event, self._row, self._store, self._breaker),
        )
        leaving = still_leaving(self._verdict(truth, self._admission.ordered_at), self.terms)
        self.terms = replace(self.terms, left_at=self._left_at(leaving))
        accounts = correlate(self._linked, by_link, by_key, policy.limits.accounts_per_person)
        return Snapshot(leaving, accounts, await self._mssp.administrators(accounts, admins))

    def _left_at(self, leaving: Leaving) -> datetime:
        """From when their retention counts: as the truth and our own row say, never the event, which anybody wrote."""
        row = self._row
        since = self.terms.opened_at if row is None or row.state is State.CLEARED else row.effective
        return max(since, leaving.instant or since)

    async def _truth(self) -> Verdict | Denied | Refused | Transient:
        """What the corporate tenant says of the person, or why it does not: an order does not depend on it."""
        try:
            person, nulls_mean_none = await self._corporate.person(self._event.person)
        except (Denied, Refused, Transient) as error:
            return error
        return judge(person, self.terms.policy, nulls_mean_none=nulls_mean_none, now=self.terms.now)

    def _verdict(self, truth: Verdict | Denied | Refused | Transient, ordered_at: datetime | None) -> Verdict:
        if ordered_at is not None:
            return ordered(ordered_at)
        if isinstance(truth, Exception):
            raise truth
        return truth

    async def _deepen(self, references: Mapping[str, str]) -> None:
        known = self.snapshot.accounts
        (accounts, read, ended), _ = await asyncio.gather(
            self._mssp.holdings(known, list(references.values())),
            asyncio.gather(*(self._look_for_guests(account) for account in known.values())),
        )
        holdings = {key: replace(held, stays=(*held.stays, *self._guests[key])) for key, held in read.items()}
        given_up = {key: ended[reference] for key, reference in references.items() if reference in ended}
        self._snapshot = replace(self.snapshot, accounts=accounts, holdings=holdings, given_up=given_up)

    async def _look_for_guests(self, account: Account) -> None:
        """Once a slice, for no step changes them; what could not be known is asked for again."""
        known = self._guests.get(account.id)
        if known is None or any(finding.kind == GUEST_UNKNOWN for finding in known):
            self._guests[account.id] = await self._mssp.guests(account)

    async def admit(self) -> None:
        """Take a place in the window, and claim the administrators among the accounts. Raises Held and Stopped."""
        if self._admission is not None and self._admission.kept:
            raise Stopped(RunOutcome.HELD, self._admission.kept)
        if self._admission is not None and self._needs_place(self._admission):
            await self._breaker.take(self._event.person, self._admission.places)
        admins = self.snapshot.administrators
        if admins.mine and not await self._breaker.claim(admins.mine, admins.others):
            self._snapshot = replace(self.snapshot, administrators=Administrators(admins.mine))

    def _needs_place(self, admission: Admission) -> bool:
        """Whoever is contained, or cleaned up for the first time; not who was let through, or counted before."""
        accounts = self.snapshot.accounts.values()
        untouched = any(kept_until(account, self.terms, {}) is None for account in accounts)
        first = untouched and not (admission.again or self._counted)
        return not admission.passed and (first or any(account.enabled for account in accounts))

    def plan(self, results: Mapping[str, Result]) -> Plan[LeaverStep]:
        return leaver.plan_leaver(self.snapshot, results, self.terms)

    def guard(self, step: LeaverStep) -> str | None:
        return leaver.protect(step, self.snapshot, self.terms.policy)

    def observe(self, step: LeaverStep, before: Mapping[str, Any]) -> Observation:
        return leaver.observe(step, before, self.snapshot)

    def room(self, chains: Sequence[Chain[LeaverStep]]) -> float:
        """Containment waits for nobody. The rest takes its turn once a slice, with the marks that are to follow."""
        steps = [step for chain in chains for step in chain]
        if self._has_turn or any(isinstance(step, Containment) for step in steps):
            return 0.0
        wait = self._writer.room(len(steps) + len(self.snapshot.accounts), again=self._waited)
        self._has_turn = wait <= 0
        return wait

    async def apply(self, chains: Sequence[Chain[LeaverStep]]) -> list[tuple[LeaverStep, Attempt]]:
        """Single steps together, chains each in their order, all side by side; then the default methods."""
        singles = [chain[0] for chain in chains if len(chain) == 1]
        groups = [chain for chain in chains if len(chain) > 1]
        sent = await together(self._send(singles, in_order=False), *(self._send_chain(g) for g in groups))
        outcomes = [outcome for outcomes in sent for outcome in outcomes]
        return outcomes + await self._send(refused_defaults(outcomes), in_order=False)

    async def _send(self, steps: Sequence[LeaverStep], *, in_order: bool) -> list[tuple[LeaverStep, Attempt]]:
        if not steps:
            return []
        try:
            urgent = all(isinstance(step, Containment) for step in steps)
            replies = await self._writer.send([request(step) for step in steps], in_order=in_order, urgent=urgent)
        except Denied as denied:
            return [(step, Attempt(Result.BLOCKED, str(denied))) for step in steps]
        return [(step, judge_reply(step, reply)) for step, reply in zip(steps, replies, strict=True)]

    async def _send_chain(self, chain: Chain[LeaverStep]) -> list[tuple[LeaverStep, Attempt]]:
        """In order; what Graph left out because of a refusal before it (424) is then tried by itself."""
        outcomes = await self._send(chain, in_order=True)
        left_out = [step for step, attempt in outcomes if attempt.status == LEFT_OUT]
        if not left_out:
            return outcomes
        tried = [outcome for outcome in outcomes if outcome[1].status != LEFT_OUT]
        return tried + await self._send_chain(tuple(left_out))


def refused_defaults(outcomes: Sequence[tuple[LeaverStep, Attempt]]) -> list[LeaverStep]:
    """Methods that were refused while all others of their account were taken: the default one goes last.

    It is asked for once more at once. Where Graph has not seen the others go yet it refuses again, and the next
    reading plans it anew.
    """
    tried = [(step, attempt.result) for step, attempt in outcomes if isinstance(step, RemoveMethod)]
    refused = [step for step, result in tried if result is Result.REFUSED]
    others = {step.account for step, result in tried if result is Result.SENT}
    alone = [step for step in refused if [other.account for other in refused].count(step.account) == 1]
    return [step for step in alone if step.account in others and not step.again]


def still_leaving(verdict: Verdict, terms: Terms) -> Leaving:
    """The leaving that this run is about. Raises Stopped when there is none any more, Denied when it is not known."""
    match verdict:
        case Unknown(reason):
            raise Denied(reason, "User-LifeCycleInfo.Read.All in the corporate tenant, or a date that can be read")
        case Staying():
            raise Stopped(RunOutcome.LEFT_ALONE, "the person does not leave any more: no leave date")
        case Leaving(_, instant) if instant is not None and instant > terms.now:
            raise Stopped(RunOutcome.LEFT_ALONE, f"the person does not leave before {to_text(instant)}")
        case Leaving():
            return verdict
