"""Runs and their evidence, for people."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from jml.decisions import members
from jml.evidence import evidence
from jml.held import HoldRows, HoldState
from jml.held import document as hold_document
from jml.state import RunRecord, Runs, RunState
from shared.bodies import BadRequest
from shared.clock import to_text
from shared.errors import NotThere, Refused
from shared.guid import GUID
from shared.ledger import Ledger
from shared.plan import RunOutcome
from shared.ports import TableStore, Value
from shared.proof import Proof

T = TypeVar("T")
MOST = 200
Filters = Mapping[str, frozenset[str] | None]
"""Query parameter → the values it takes (None: a GUID)."""
OF_RUNS: Filters = {
    "person": None,
    "state": frozenset(state.value for state in RunState),
    "outcome": frozenset(outcome.value for outcome in RunOutcome),
}
OF_HOLDS: Filters = {"state": frozenset(state.value for state in HoldState)}


@dataclass(frozen=True)
class Reports:
    store: TableStore
    proof: Proof

    async def runs(self, query: Mapping[str, str]) -> dict[str, Any]:
        """A page of runs: filters `person`, `state`, `outcome`; `top` (1 to 200); `continuation` from the page before.

        Raises BadRequest naming the parameter and the expectation.
        """
        where, size, continuation = _page_asked(query, OF_RUNS)
        return await _paged("runs", Runs(self.store).page(where, size, continuation), _run)

    async def holds(self, query: Mapping[str, str]) -> dict[str, Any]:
        """A page of holds, as of runs: filter `state`. Raises BadRequest."""
        where, size, continuation = _page_asked(query, OF_HOLDS)
        return await _paged("holds", HoldRows(self.store).page(where, size, continuation), hold_document)

    async def hold(self, name: str) -> dict[str, Any]:
        """One hold with its plan, and the ledger of its decisions. Raises NotThere."""
        found = await HoldRows(self.store).get(name) if GUID.match(name) else None
        if found is None:
            raise NotThere("there is no hold of that id")
        ledger = await Ledger.load(self.store, name)
        plan = [{"person": one.person, **one.facts()} for one in members(ledger)]
        return {**hold_document(found), "plan": plan, "rows": [row.document() for row in ledger.rows]}

    async def run(self, run: str) -> dict[str, Any]:
        """One run's row. Raises NotThere."""
        return _run(await self._found(run))

    async def evidence(self, run: str) -> dict[str, Any]:
        """The evidence of a run, made from its ledger and the checkpoint that holds it. Raises NotThere."""
        ledger = await Ledger.load(self.store, (await self._found(run)).id)
        return evidence([row.document() for row in ledger.rows], await self.proof.anchor_of(ledger))

    async def _found(self, run: str) -> RunRecord:
        found = await Runs(self.store).get(run) if GUID.match(run) else None
        if found is None:
            raise NotThere("there is no run of that id")
        return found


def _page_asked(query: Mapping[str, str], filters: Filters) -> tuple[dict[str, Value], int, str | None]:
    """Filters, size and continuation of a page. Raises BadRequest naming the parameter and the expectation."""
    known = {*filters, "top", "continuation"}
    if unknown := sorted(set(query) - known):
        raise BadRequest(f"{unknown[0]}: one of {', '.join(sorted(known))} was expected")
    where: dict[str, Value] = {name: _value(query[name], name, filters[name]) for name in filters if name in query}
    return where, _size(query.get("top", "50")), _decoded(query.get("continuation"))


async def _paged(
    name: str, page: Awaitable[tuple[list[T], str | None]], shown: Callable[[T], dict[str, Any]]
) -> dict[str, Any]:
    try:
        found, more = await page
    except Refused as error:
        raise BadRequest("continuation: the value that the page before gave was expected") from error
    document: dict[str, Any] = {name: [shown(one) for one in found]}
    if more is not None:
        document["continuation"] = base64.urlsafe_b64encode(more.encode()).decode()
    return document


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


def _value(value: str, name: str, allowed: frozenset[str] | None) -> str:
    if allowed is None and not GUID.match(value):
        raise BadRequest(f"{name}: a GUID in small letters was expected")
    if allowed is not None and value not in allowed:
        raise BadRequest(f"{name}: one of {', '.join(sorted(allowed))} was expected")
    return value


def _size(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= MOST:
        raise BadRequest(f"top: a whole number from 1 to {MOST} was expected")
    return int(text)


def _decoded(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return base64.b64decode(text.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise BadRequest("continuation: the value that the page before gave was expected") from error
