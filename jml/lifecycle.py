"""One message of the lifecycle queue, from its bytes to its outcome in the ledger.

A run works in slices: it ends, or it is saved and re-enqueued with a delay. Every point at which the process may die
leads back here, by redelivery, to the same end: what was written is read again, and nothing is taken on trust.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from jml.breaker import Breaker
from jml.correlation import Stopped
from jml.events import LEAVER, MOST_BYTES, LeaverEvent, parse, rejection, to_message
from jml.gather import MsspTenant
from jml.holdings import UNREAD
from jml.holds import Holds, direction_of
from jml.leaver import Terms, kept_until
from jml.offboarding import LeaverRun
from jml.policy import Policy
from jml.requests import NEEDS
from jml.schedule import Offboarding, after_run
from jml.state import Link, People, RunRecord, Runs, RunState, Schedule, overtake
from jml.steps import Containment, LeaverStep, recall
from jml.truth import CorporateTenant
from shared.clock import Clock, to_text
from shared.converge import Patience, Pause, converge
from shared.errors import Conflict, Denied, Held, InvalidEvent, LostOrder, Refused, Transient, Unsafe
from shared.journal import Journal, Standing
from shared.ledger import Entry, Kind, Ledger
from shared.plan import Finding, Result, RunOutcome
from shared.ports import Graph, Messages, TableStore
from shared.proof import Proof
from shared.telemetry import about, report, warn

TAKEN = frozenset({Result.SENT, Result.VERIFIED})
MOST_REASON = 4000
"""Characters of a run's reason: it has to fit into a row, however many ids it names."""

CLEAN = frozenset({RunOutcome.VERIFIED, RunOutcome.PARTIAL})
"""Outcomes after which the offboarding goes on to its next part; after any other the backlog takes it up again."""


@dataclass(frozen=True)
class _Standing:
    """What was there before a slice: the run's row (None: it is new), the person's, the schedule's, the ledger."""

    run: RunRecord | None
    link: Link
    row: Offboarding | None
    ledger: Ledger


@dataclass(frozen=True)
class _Case:
    """One run at work: its event, its row as it was read, its ledger."""

    event: LeaverEvent
    run: RunRecord
    ledger: Ledger


@dataclass(frozen=True)
class _End:
    """How a run ends. `cleaned`: the accounts are marked or gone; `delete_at`: when the marked ones are deleted."""

    outcome: RunOutcome
    reason: str = ""
    cleaned: bool = False
    delete_at: datetime | None = None

    @property
    def gone(self) -> bool:
        return self.cleaned and self.delete_at is None


@dataclass(frozen=True)
class Lifecycle:
    """Everything a run needs. `tenant`: the corporate tenant's id; `writer`: the MSSP tenant's Graph."""

    tenant: str
    policy: Policy
    corporate: CorporateTenant
    mssp: MsspTenant
    writer: Graph
    breaker: Breaker
    holds: Holds
    store: TableStore
    messages: Messages
    proof: Proof
    clock: Clock

    async def receive(self, body: bytes, message_id: str) -> None:
        """Work on one delivery. Returning means that its outcome is kept, or that it comes again after a delay.

        Whatever keeps the app from its own records is waited for by a delayed copy of the event, so that an outage does
        not burn deliveries. Raises Transient when not even that can be sent.
        """
        now = self.clock.now()
        try:
            event = parse(body, self.tenant)
        except InvalidEvent as error:
            await self._reject(body, message_id, str(error))
            return
        try:
            with about(run=event.id, person=event.person, tenant=self.tenant):
                await self._take_up(event, now)
        except (Conflict, Denied, LostOrder, Refused, Transient) as error:
            later = now + self.policy.limits.poll
            await self.messages.send([to_message(event, now, f"{message_id[-24:]}@{to_text(now)}", later)])
            warn("run put off", run=event.id, person=event.person, reason=str(error))

    async def _reject(self, body: bytes, message_id: str, reason: str) -> None:
        now = self.clock.now()
        try:
            await self.messages.send([rejection(body, message_id, reason, now)])
        except Refused:  # with its reason it is larger than a message may be
            cut = f"{reason}; cut from {len(body)} bytes"
            await self.messages.send([rejection(body[:MOST_BYTES], message_id, cut, now)])
        warn("message rejected", message=message_id, reason=reason)

    async def _take_up(self, event: LeaverEvent, received: datetime) -> None:
        """Read where the run and its person stand, and go on from there. `received`: when the message came.

        A run marks its person before its own row, and that before its first of the ledger: what cannot be there yet is
        not read, for containment waits for it.
        """
        known, scheduled = await asyncio.gather(
            People(self.store).get(event.person), Schedule(self.store).get(event.person)
        )
        link, row = known or Link(event.person), scheduled.offboarding if scheduled else None
        news = row is not None and event.revision == row.revision > link.revision
        run = None if news else await Runs(self.store).get(event.id)
        ledger = await Ledger.load(self.store, event.id) if run else Ledger(self.store, event.id, [])
        if run is not None and run.state is RunState.CLOSED:
            report("run closed before", outcome=run.outcome)
        elif run is not None and ledger.closed:
            await self._finish(run, ledger)
        else:
            await self._slice(event, _Standing(run, link, row, ledger), received)

    async def _slice(self, event: LeaverEvent, there: _Standing, now: datetime) -> None:
        """One slice of a run, new or as it was left; being the person's newest, a new one overtakes the others."""
        known, link, row, ledger = there.run, there.link, there.row, there.ledger
        newest = link if known else overtake(link, event.id, event.revision, row)
        run = known or RunRecord(event.id, event.person, newest.generation if newest else 0, now)
        journal: Journal[LeaverStep] = Journal(ledger, recall, self.clock.now)
        if ledger.rows:
            journal.resume({"attempt": run.attempt})
        else:
            ledger.stage([Entry(Kind.OPENED, _opening(event, run, self.policy))], now)
        report("run resumed" if journal.slice else "run opened")
        if newest is None or newest.generation > run.generation:
            case = _Case(event, await self._open(run, None), ledger)
            await self._close(case, _End(RunOutcome.SUPERSEDED, f"run {link.run} is newer"))
            return
        terms = Terms(run.opened_at, self.policy, now, run.opened_at)
        linked = link.accounts | {standing.step.account for standing in journal.standings.values()}
        work = LeaverRun(
            event,
            linked,
            terms,
            waited=journal.slice > 0,
            corporate=self.corporate,
            mssp=self.mssp,
            writer=self.writer,
            store=self.store,
            breaker=self.breaker,
            row=row,
            counted=bool(journal.results),
        )
        work.begin()
        try:
            case = _Case(event, await self._open(run, None if newest is link else newest), ledger)
        except BaseException:
            work.drop()
            raise
        if (end := await self._work(case, journal, work)) is not None:
            if not (link.accounts or end.gone):
                await self._adopt(event.person, work.found)
            await self._close(case, end)

    async def _open(self, run: RunRecord, newest: Link | None) -> RunRecord:
        """Write down that this run is now the person's (`newest`, if it was not), and the run's row if it is new."""
        if newest is not None:
            await People(self.store).put(newest)
        return run if run.version else await Runs(self.store).put(run)

    async def _work(self, case: _Case, journal: Journal[LeaverStep], work: LeaverRun) -> _End | None:
        """Converge; returns how the run ends, or None when it was saved to be continued."""
        limits, now = self.policy.limits, self.clock.now()
        poll = limits.poll.total_seconds()
        patient = now - case.run.opened_at <= limits.wait
        try:
            pause = await converge(work, journal, self.clock, Patience(now + limits.slice, poll, waits=patient))
        except Stopped as stopped:
            sent = sum(result in TAKEN for result in journal.results.values())
            stays = f"; {sent} steps were taken before, and what they did stays done" if sent else ""
            return _End(stopped.outcome, f"{stopped}{stays}")
        except Held as held:
            await self._hold(case.event, str(held))
            return _End(RunOutcome.HELD, str(held))
        except (Denied, Unsafe) as error:
            return _End(RunOutcome.BLOCKED, str(error))
        except Refused as error:
            return _End(RunOutcome.FAILED, str(error))
        except Transient as error:
            pause = Pause(max(error.retry_after, poll), str(error))
            if not patient:
                return _End(RunOutcome.FAILED, f"waited longer than the policy allows: {error}")
        if pause is None or (pause.seconds > 0 and not patient):
            outcome = conclude(journal.standings.values(), journal.findings.values())
            why = blockers(journal) if outcome is RunOutcome.BLOCKED else ""
            if outcome in CLEAN:
                return _End(outcome, why, *_retention(work, journal.results))
            return _End(outcome, why)
        await self._wait(case, journal, pause)
        return None

    async def _wait(self, case: _Case, journal: Journal[LeaverStep], pause: Pause) -> None:
        """Save the run, then send the message that continues it: a crash between the two brings this one again."""
        now = self.clock.now()
        until = now + timedelta(seconds=pause.seconds)
        saved = replace(case.run, state=RunState.WAITING, attempt=case.run.attempt + 1, resume_at=until)
        await journal.note(Kind.WAITING, {"until": to_text(until), "reason": pause.why})
        await Runs(self.store).put(saved)
        await self.messages.send([to_message(case.event, now, saved.attempt, until)])
        report("run waits", until=to_text(until), reason=pause.why)

    async def _adopt(self, person: str, accounts: frozenset[str]) -> None:
        """Link accounts that only their own key named: the table was lost, and the sweep has to watch them again."""
        link = await People(self.store).get(person)
        if accounts and link is not None and not link.accounts:
            await People(self.store).put(replace(link, accounts=accounts))

    async def _hold(self, event: LeaverEvent, reason: str) -> None:
        """The offboarding waits for a person, if it is still the one of this event."""
        scheduled = await Schedule(self.store).get(event.person)
        if scheduled is not None and scheduled.offboarding.revision == event.revision:
            await self.holds.open([scheduled], direction_of(scheduled.offboarding), reason)

    async def _close(self, case: _Case, end: _End) -> None:
        """Schedule first, then the closing row, then the run's own row: each is found again after a crash."""
        if end.cleaned:
            await self._retain(case.event, end.delete_at)
        await case.ledger.close({"outcome": end.outcome.value, "reason": end.reason[:MOST_REASON]}, self.clock.now())
        await self._finish(case.run, case.ledger)

    async def _retain(self, event: LeaverEvent, delete_at: datetime | None) -> None:
        """The offboarding goes on to the deletion of the accounts; or it is done, and nobody is watched any more."""
        if delete_at is None:
            await People(self.store).forget_accounts(event.person)
        schedule = Schedule(self.store)
        scheduled = await schedule.get(event.person)
        if scheduled is None:
            return
        row = after_run(scheduled.offboarding, event.revision, delete_at)
        if row is None:
            return
        await schedule.try_put(row, scheduled.version)

    async def _finish(self, run: RunRecord, ledger: Ledger) -> None:
        """Have the closed ledger anchored, close the run's row, and only then try to write the checkpoint at once."""
        end = ledger.rows[-1].data
        await self.proof.closed(ledger)
        now, outcome = self.clock.now(), str(end["outcome"])
        await Runs(self.store).put(replace(run, state=RunState.CLOSED, outcome=outcome, closed_at=now, resume_at=None))
        report("run closed", outcome=outcome, reason=str(end["reason"]))
        await self.proof.anchor()


def conclude(standings: Collection[Standing[LeaverStep]], findings: Collection[Finding]) -> RunOutcome:
    """The outcome of a run that has come to its end: the worst of its steps, and what it leaves.

    An account that is not contained is a failure, however much else was cleaned up.
    """
    tried = [standing for standing in standings if standing.result is not None]
    results = {standing.result for standing in tried}
    containment = [standing for standing in standings if isinstance(standing.step, Containment)]
    unread = any(finding.kind == UNREAD for finding in findings)
    if unread or results & {Result.BLOCKED, Result.PROTECTED}:
        return RunOutcome.BLOCKED
    unsettled = any(not standing.settled for standing in tried)
    if unsettled or any(standing.result is not Result.VERIFIED for standing in containment):
        return RunOutcome.FAILED
    if Result.REFUSED in results or findings:
        return RunOutcome.PARTIAL
    return RunOutcome.VERIFIED


def blockers(journal: Journal[LeaverStep]) -> str:
    """What a person has to see to before the run can do the rest, each once."""
    unread = {finding.reason for finding in journal.findings.values() if finding.kind == UNREAD}
    blocked = [s for s in journal.standings.values() if s.result is Result.BLOCKED]
    needed = {f"{s.step.kind} needs {NEEDS[type(s.step)]}" for s in blocked}
    guarded = {s.reason for s in journal.standings.values() if s.result is Result.PROTECTED}
    return "; ".join([*sorted(guarded), *sorted(needed), *sorted(unread)])


def _retention(work: LeaverRun, results: Mapping[str, Result]) -> tuple[bool, datetime | None]:
    """Whether every account is cleaned up to its mark or gone, and when the last of them is to be deleted."""
    marks = [kept_until(account, work.terms, results) for account in work.snapshot.accounts.values()]
    return all(marks), max((mark for mark in marks if mark), default=None)


def _opening(event: LeaverEvent, run: RunRecord, policy: Policy) -> dict[str, Any]:
    """What the evidence says of the trigger: the leave date in UTC and as it was written, and what was promised."""
    return {
        "type": LEAVER,
        "person": event.person,
        "tenant": event.tenant,
        "cause": event.cause.value,
        "effective": to_text(event.effective),
        "due": to_text(event.due or event.effective),
        "written": event.written,
        "zone": event.zone,
        "revision": event.revision,
        "generation": run.generation,
        "objectiveSeconds": int(policy.leaver.objective.total_seconds()),
    }
