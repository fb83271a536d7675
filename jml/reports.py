"""Runs and their evidence, for people."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jml.evidence import evidence
from jml.state import RunRecord, Runs, RunState
from shared.clock import to_text
from shared.errors import Refused
from shared.guid import GUID
from shared.ledger import Ledger
from shared.plan import RunOutcome
from shared.ports import TableStore, Value

MOST = 200
FILTERS: dict[str, frozenset[str] | None] = {
    "person": None,
    "state": frozenset(state.value for state in RunState),
    "outcome": frozenset(outcome.value for outcome in RunOutcome),
}
"""Query parameter → the values it takes (None: a GUID)."""


class BadQuery(ValueError):
    """A query parameter is not what was expected; the message names it."""


@dataclass(frozen=True)
class Reports:
    store: TableStore

    async def runs(self, query: Mapping[str, str]) -> dict[str, Any]:
        """A page of runs: filters `person`, `state`, `outcome`; `top` (1 to 200); `continuation` from the page before.

        Raises BadQuery naming the parameter and the expectation.
        """
        known = {*FILTERS, "top", "continuation"}
        if unknown := sorted(set(query) - known):
            raise BadQuery(f"{unknown[0]}: one of {', '.join(sorted(known))} was expected")
        where: dict[str, Value] = {name: _value(name, query[name]) for name in FILTERS if name in query}
        size = _size(query.get("top", "50"))
        continuation = _decoded(query.get("continuation"))
        try:
            page, more = await Runs(self.store).page(where, size, continuation)
        except Refused as error:
            raise BadQuery("continuation: the value that the page before gave was expected") from error
        document: dict[str, Any] = {"runs": [_run(run) for run in page]}
        if more is not None:
            document["continuation"] = base64.urlsafe_b64encode(more.encode()).decode()
        return document

    async def run(self, run: str) -> dict[str, Any] | None:
        """One run's row; None when there is none of that id."""
        found = await Runs(self.store).get(run) if GUID.match(run) else None
        return None if found is None else _run(found)

    async def evidence(self, run: str) -> dict[str, Any] | None:
        """The evidence of a run, made from its ledger; None when there is none of that id."""
        if not GUID.match(run):
            return None
        ledger = await Ledger.load(self.store, run)
        return evidence([row.document() for row in ledger.rows]) if ledger.rows else None


def _run(run: RunRecord) -> dict[str, Any]:
    document = {
        "id": run.id,
        "person": run.person,
        "state": run.state.value,
        "outcome": run.outcome or None,
        "generation": run.generation,
        "attempt": run.attempt,
        "openedAt": to_text(run.opened_at),
        "resumeAt": to_text(run.resume_at) if run.resume_at else None,
        "closedAt": to_text(run.closed_at) if run.closed_at else None,
    }
    return {name: value for name, value in document.items() if value is not None}


def _value(name: str, value: str) -> str:
    allowed = FILTERS[name]
    if allowed is None and not GUID.match(value):
        raise BadQuery(f"{name}: a GUID in small letters was expected")
    if allowed is not None and value not in allowed:
        raise BadQuery(f"{name}: one of {', '.join(sorted(allowed))} was expected")
    return value


def _size(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= MOST:
        raise BadQuery(f"top: a whole number from 1 to {MOST} was expected")
    return int(text)


def _decoded(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return base64.b64decode(text.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise BadQuery("continuation: the value that the page before gave was expected") from error
