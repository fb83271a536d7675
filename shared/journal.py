"""A run's memory: what was planned, tried and seen, rebuilt from the ledger after any crash."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic

from shared.ledger import Entry, Kind, Ledger
from shared.plan import FINAL, Attempt, Finding, Observation, Result, S
from shared.telemetry import report


@dataclass
class Standing(Generic[S]):
    """Where one step stands. `slice`: the slice of the run that last tried it (-1: none yet)."""

    step: S
    before: Mapping[str, Any]
    result: Result | None = None
    slice: int = -1
    reference: str = ""
    reason: str = ""
    retry_after: float = 0.0

    @property
    def settled(self) -> bool:
        return self.result in FINAL


class Journal(Generic[S]):
    """The steps of a run by key, kept in the ledger first and in memory second.

    What was seen is staged, and written together with the next intent, answer or note: no write leaves before it.

    `recall` makes a step of its kind and facts; `now` gives the time of each row.
    """

    def __init__(
        self, ledger: Ledger, recall: Callable[[str, Mapping[str, Any]], S], now: Callable[[], datetime]
    ) -> None:
        self._ledger = ledger
        self._now = now
        self.standings: dict[str, Standing[S]] = {}
        self.findings: dict[str, Finding] = {}
        self.slice = 0
        for row in ledger.rows:
            self._replay(Kind(row.kind), row.step, row.data, recall)

    def _replay(
        self, kind: Kind, key: str, data: Mapping[str, Any], recall: Callable[[str, Mapping[str, Any]], S]
    ) -> None:
        match kind:
            case Kind.PLANNED:
                self.standings[key] = Standing(recall(data["kind"], data["facts"]), data["before"])
            case Kind.LEFT:
                self.findings[key] = Finding(key, data["kind"], data["reason"], data["facts"])
            case Kind.RESOLVED:
                self.findings.pop(key, None)
            case Kind.INTENT:
                self.standings[key].slice = self.slice
                self.standings[key].result = Result.WAITING
            case Kind.ATTEMPTED | Kind.PROTECTED:
                self.standings[key].result = Result(data["result"])
                self.standings[key].reference = data.get("reference", "")
                self.standings[key].reason = data.get("reason", "")
            case Kind.VERIFIED:
                self.standings[key].result = Result.VERIFIED
            case Kind.REOPENED:
                self.standings[key].result, self.standings[key].reference = Result.WAITING, ""
            case Kind.RESUMED:
                self.slice += 1
            case _:
                pass

    @property
    def results(self) -> dict[str, Result]:
        """Step key → what came of it, for those that were tried."""
        return {key: s.result for key, s in self.standings.items() if s.result is not None}

    @property
    def unsettled(self) -> list[Standing[S]]:
        """Steps that were tried and whose effect is not known yet."""
        return [s for s in self.standings.values() if s.result is not None and not s.settled]

    @property
    def references(self) -> dict[str, str]:
        """Step key → what goes on elsewhere for it."""
        return {s.step.key: s.reference for s in self.unsettled if s.reference}

    def ready(self, step: S) -> bool:
        """Whether to send it now: at most once a slice, never what is settled or still being worked on elsewhere."""
        standing = self.standings[step.key]
        return not standing.settled and standing.slice != self.slice and not standing.reference

    async def note(self, kind: Kind, data: Mapping[str, Any]) -> None:
        await self._ledger.append([Entry(kind, data)], self._now())

    def resume(self, data: Mapping[str, Any]) -> None:
        """Begin the next slice."""
        self._ledger.stage([Entry(Kind.RESUMED, data)], self._now())
        self.slice += 1

    def plan(self, steps: Sequence[tuple[S, Observation]], findings: Sequence[Finding], *, whole: bool = False) -> None:
        """Write down what was not planned before, with the state its target is in.

        `whole`: everything was read, so that a finding that is not among `findings` is no longer so.
        """
        fresh = [(step, seen) for step, seen in steps if step.key not in self.standings]
        stays = [finding for finding in findings if finding.key not in self.findings]
        entries = [
            Entry(Kind.PLANNED, {"kind": s.kind, "facts": dict(s.facts()), "before": dict(seen.state)}, s.key)
            for s, seen in fresh
        ]
        entries += [
            Entry(Kind.LEFT, {"kind": f.kind, "reason": f.reason, "facts": dict(f.facts)}, f.key) for f in stays
        ]
        over = self.findings.keys() - {finding.key for finding in findings} if whole else set()
        entries += [Entry(Kind.RESOLVED, {}, key) for key in sorted(over)]
        self._ledger.stage(entries, self._now())
        for key in over:
            del self.findings[key]
        self.standings.update({step.key: Standing(step, seen.state) for step, seen in fresh})
        self.findings.update({finding.key: finding for finding in stays})

    def protect(self, refusals: Sequence[tuple[S, str]]) -> None:
        """Write down the steps that a guard keeps from being sent, with its reasons."""
        fresh = [(step, why) for step, why in refusals if not self.standings[step.key].settled]
        self._ledger.stage(
            [Entry(Kind.PROTECTED, {"result": Result.PROTECTED, "reason": why}, s.key) for s, why in fresh],
            self._now(),
        )
        for step, why in fresh:
            standing = self.standings[step.key]
            standing.result, standing.reason, standing.reference = Result.PROTECTED, why, ""

    async def intend(self, steps: Sequence[S]) -> None:
        """Write down what is about to be sent: it comes before the first byte of it."""
        await self._ledger.append([Entry(Kind.INTENT, {"slice": self.slice}, s.key) for s in steps], self._now())
        for step in steps:
            self.standings[step.key].slice = self.slice
            self.standings[step.key].result = Result.WAITING

    async def attempted(self, outcomes: Sequence[tuple[S, Attempt]]) -> None:
        """Write down what the other side answered."""
        entries = [Entry(Kind.ATTEMPTED, _attempt_data(attempt), step.key) for step, attempt in outcomes]
        await self._ledger.append(entries, self._now())
        for step, attempt in outcomes:
            self._report(step.key, attempt.result, status=attempt.status, request=attempt.request_id)
            standing = self.standings[step.key]
            standing.result, standing.reference = attempt.result, attempt.reference
            standing.retry_after, standing.reason = attempt.retry_after, attempt.reason

    def settle(self, observe: Callable[[S, Mapping[str, Any]], Observation]) -> None:
        """Compare every step that was tried with what is seen now.

        A refused one may have taken effect after all; a verified one may have been undone by somebody since, and is
        then sent again in the next slice.

        `observe` gets the step and the state its target was in before it.
        """
        entries: list[Entry] = []
        for key, standing in self.standings.items():
            if standing.result in (None, Result.PROTECTED):
                continue
            seen = observe(standing.step, standing.before)
            if standing.result is Result.VERIFIED:
                if seen.done is False:
                    entries.append(Entry(Kind.REOPENED, {"after": dict(seen.state)}, key))
                    standing.result, standing.reference = Result.WAITING, ""
            elif seen.done:
                entries.append(Entry(Kind.VERIFIED, {"after": dict(seen.state)}, key))
                standing.result = Result.VERIFIED
            elif seen.gave_up and not standing.settled:
                data = {"result": Result.REFUSED, "reason": seen.gave_up}
                entries.append(Entry(Kind.ATTEMPTED, data, key))
                standing.result, standing.reference, standing.reason = Result.REFUSED, "", seen.gave_up
        self._ledger.stage(entries, self._now())
        for entry in entries:
            outcome = self.standings[entry.step].result
            if outcome is not None:
                self._report(entry.step, outcome)

    def _report(self, step: str, outcome: Result, **facts: str | int) -> None:
        report("step", run=self._ledger.run, step=step, outcome=outcome.value, **facts)


def _attempt_data(attempt: Attempt) -> dict[str, Any]:
    """The facts of an attempt, without those that say nothing."""
    data = {
        "result": attempt.result.value,
        "reason": attempt.reason,
        "request": attempt.request_id,
        "status": attempt.status,
        "reference": attempt.reference,
    }
    return {name: value for name, value in data.items() if value not in ("", 0)}
