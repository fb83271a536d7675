"""The one loop with effects: gather, plan, guard, execute, and gather again to see what came of it.

A step's effect is what the next snapshot shows, so verifying costs no reading of its own. The loop ends when nothing
is left to send and every effect is known, or when all that is left is waiting: then it says for how long, and the
run is saved and taken up again by a delayed message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from shared.clock import Clock
from shared.errors import Unsafe
from shared.journal import Journal, Standing
from shared.plan import Attempt, Chain, Observation, Plan, Result, S, keys

REREADS = (0.5, 1.0, 2.0)
"""Seconds before each further look at an effect that does not show yet: replicas of a directory lag by about that."""


class Work(Protocol[S]):
    """What a kind of run is made of: its readings, its rules and its writes."""

    async def gather(self, *, deep: bool, references: Mapping[str, str]) -> None:
        """Read the truth anew; `deep` reads all of it, else what the first phase needs. Raises when it cannot.

        `references`: step key → what goes on at the other side for it, to be asked for.
        """
        ...

    def plan(self, results: Mapping[str, Result]) -> Plan[S]:
        """Pure: what the last snapshot calls for, given what came of the steps so far."""
        ...

    def guard(self, step: S) -> str | None:
        """Pure: why this step must not be sent, seen the last snapshot (None: it may)."""
        ...

    def observe(self, step: S, before: Mapping[str, Any]) -> Observation:
        """Pure: the step's target in the last snapshot."""
        ...

    def room(self, chains: Sequence[Chain[S]]) -> float:
        """Seconds until the chains may be sent beside all that goes on elsewhere; 0: they may be sent now."""
        ...

    async def admit(self) -> None:
        """Take what the run needs before its first write, and add to the snapshot what that shows. Raises Held."""
        ...

    async def apply(self, chains: Sequence[Chain[S]]) -> list[tuple[S, Attempt]]:
        """Send the chains side by side, each in its order."""
        ...


@dataclass(frozen=True)
class Pause:
    """All that is left is waiting: come again after this many seconds."""

    seconds: float
    why: str = "effects are not known yet"


@dataclass(frozen=True)
class Patience:
    """How long one slice works (`deadline`), and the least pause in seconds (`poll`).

    `waits` False: the run has waited long enough, and what is still unknown no longer holds up what comes after it.
    """

    deadline: datetime
    poll: float
    waits: bool = True


async def converge(work: Work[S], journal: Journal[S], clock: Clock, patience: Patience) -> Pause | None:
    """Work until nothing is left to do (None) or only waiting is.

    Raises Transient, Denied and Refused from gathering, Held where a limit is reached, and Unsafe when a guard
    contradicts the plan.
    """
    deep, rereads, admitted = False, 0, False
    while True:
        await work.gather(deep=deep, references=journal.references)
        journal.settle(work.observe)
        looks = rereads < len(REREADS)
        plan, chains = _decide(work, journal, waits=patience.waits, looks=looks)
        if chains and clock.now() >= patience.deadline:
            return Pause(0)
        if chains and patience.waits and (wait := work.room(chains)) > 0:
            return Pause(wait, "other runs use the quota")
        if chains and not admitted:
            await work.admit()
            admitted = True
            plan, chains = _decide(work, journal, waits=patience.waits, looks=looks)
        if chains:
            await _perform(chains, work, journal)
            deep, rereads = True, 0
        elif not plan.complete and not deep:
            deep = True
        elif not journal.unsettled:
            return None
        elif rereads < len(REREADS) and any(map(_may_show, journal.unsettled)):
            await clock.sleep(REREADS[rereads])
            rereads += 1
        else:
            return Pause(max(patience.poll, *(s.retry_after for s in journal.unsettled)))


def _decide(work: Work[S], journal: Journal[S], *, waits: bool, looks: bool) -> tuple[Plan[S], list[Chain[S]]]:
    """The plan, written down with what the guards say of it, and what of it may be sent now."""
    plan = work.plan(journal.results)
    journal.plan([(step, work.observe(step, {})) for step in plan.steps], plan.findings, whole=plan.complete)
    refusals = [(step, why) for step in plan.steps if (why := work.guard(step)) is not None]
    journal.protect(refusals)
    return plan, _due(plan, journal, waits=waits, looks=looks)


def _may_show(standing: Standing[S]) -> bool:
    """Whether another look, a moment later, may show what this step did."""
    return standing.result is Result.SENT and not standing.reference


def _due(plan: Plan[S], journal: Journal[S], *, waits: bool, looks: bool) -> list[Chain[S]]:
    """What may be sent now: of the first phase that has anything ready.

    A phase starts once every step before it was answered and, while further looks are left (`looks`), read back; one
    that waits once each of those is settled.
    """
    for at, phase in enumerate(plan.phases):
        not_before = {key for later in plan.phases[at:] for key in keys(later.steps)}
        earlier = [standing for standing in journal.unsettled if standing.step.key not in not_before]
        if waits and any(phase.waits or standing.result is Result.WAITING for standing in earlier):
            return []
        if looks and any(map(_may_show, earlier)):
            return []
        chains = [tuple(step for step in chain if journal.ready(step)) for chain in phase.chains]
        if due := [chain for chain in chains if chain]:
            return due
    return []


async def _perform(chains: Sequence[Chain[S]], work: Work[S], journal: Journal[S]) -> None:
    steps = [step for chain in chains for step in chain]
    for step in steps:
        if (why := work.guard(step)) is not None:
            raise Unsafe(f"{step.key}: {why}")
    await journal.intend(steps)
    await journal.attempted(await work.apply(chains))
