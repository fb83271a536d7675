"""A closed run's ledger, as a run of a leaver writes it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import cache
from typing import Any

from jml.steps import DisableAccount, LeaveGroup, LeaverStep, RevokeSessions, recall
from shared.journal import Journal
from shared.ledger import Entry, Kind, Ledger
from shared.plan import Attempt, Finding, Observation, Result
from tests.fakes.tables import MemoryTables

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
RUN = "33333333-3333-4333-8333-333333333333"
STEPS: tuple[LeaverStep, ...] = (DisableAccount("a"), RevokeSessions("a"), LeaveGroup("a", "g"))
OPENING = {"effective": "2026-03-02T08:45:00.000000Z", "objectiveSeconds": 3600.0, "cause": "leave date"}


def seen(step: LeaverStep, before: Any) -> Observation:
    """Everything has taken effect."""
    return Observation(done=True, state={"after": step.kind})


async def written(store: MemoryTables) -> Ledger:
    """A run of three steps and one finding, written to its closing row."""
    ledger = await Ledger.load(store, RUN)
    await ledger.append([Entry(Kind.OPENED, OPENING)], NOW)
    journal: Journal[LeaverStep] = Journal(ledger, recall, lambda: NOW)
    planned = [(step, Observation(done=False, state={"was": step.kind})) for step in STEPS]
    journal.plan(planned, [Finding("f", "dynamic group", "a rule decides", {"group": "d"})])
    await journal.intend(STEPS)
    await journal.attempted([(step, Attempt(Result.SENT, request_id="r", status=204)) for step in STEPS])
    await journal.note(Kind.WAITING, {"until": "later"})
    journal.resume({"attempt": 1})
    journal.settle(seen)
    await ledger.close({"outcome": "partial", "reason": ""}, NOW)
    return ledger


@cache
def documents() -> tuple[dict[str, Any], ...]:
    """The rows as evidence carries them."""
    ledger = asyncio.run(written(MemoryTables()))
    return tuple(row.document() for row in ledger.rows)
