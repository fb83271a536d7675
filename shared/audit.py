"""The whole ledger held against all checkpoints, in one pass: what was changed, cut, added or taken away is named.

Memory: one entry for each closed ledger, and the rows of one ledger at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from shared.checkpoints import Chain, Head, disagreement
from shared.clock import from_text
from shared.closings import TABLE as CLOSINGS
from shared.ledger import TABLE, Kind, breaks, document_of, faults
from shared.ports import Blobs, Row, TableStore, Verifier

ANCHORED_WITHIN = timedelta(hours=1)
"""Many periods of the timer: a closed ledger that is in no checkpoint by then was kept out of them, or added later."""

AT_ONCE = 20
"""Checkpoints that are fetched side by side."""

Documents = list[dict[str, Any]]
Tell = Callable[[str], None]


@dataclass
class Findings:
    """What an audit found: pairs of what it is about and what is wrong with it; and how much it saw."""

    wrong: list[tuple[str, str]] = field(default_factory=list)
    ledgers: int = 0
    rows: int = 0
    anchored: int = 0
    unanchored: int = 0
    open: list[str] = field(default_factory=list)


async def read_chain(blobs: Blobs, keys: Verifier, tell: Tell = lambda _: None) -> Chain:
    """All checkpoints, checked one after the other."""
    chain = Chain(keys)
    names = [name async for name in blobs.names()]
    rest = iter(names)
    while batch := list(islice(rest, AT_ONCE)):
        contents = await asyncio.gather(*(blobs.get(name) for name in batch))
        for name, content in zip(batch, contents, strict=True):
            if content is not None:
                await chain.take(name, content)
        if chain.number % 1000 == 0:
            tell(f"{chain.number} of {len(names)} checkpoints")
    return chain


async def audit(store: TableStore, chain: Chain, now: datetime, tell: Tell = lambda _: None) -> Findings:
    """Every ledger of the table, and every ledger that a checkpoint holds."""
    found = Findings(wrong=list(chain.faults))
    seen: set[str] = set()
    async for ledger, rows in _ledgers(store):
        seen.add(ledger)
        found.ledgers += 1
        found.rows += len(rows)
        found.wrong += [(f"ledger {ledger}", problem) for problem in await _examine(store, chain, rows, now, found)]
        if found.ledgers % 1000 == 0:
            tell(f"{found.ledgers} ledgers, {found.rows} rows")
    for ledger, (number, head) in chain.heads.items():
        if ledger not in seen:
            problem = f"is missing: checkpoint {number} holds it with {head.rows} rows"
            found.wrong.append((f"ledger {ledger}", problem))
    return found


async def _ledgers(store: TableStore) -> AsyncIterator[tuple[str, Documents]]:
    """The table comes by partition and key, so that a ledger's rows are neighbours."""
    ledger, rows = "", list[Row]()
    async for row in store.scan(TABLE):
        if row.partition != ledger:
            if rows:
                yield ledger, [document_of(one) for one in rows]
            ledger, rows = row.partition, []
        rows.append(row)
    if rows:
        yield ledger, [document_of(one) for one in rows]


async def _examine(store: TableStore, chain: Chain, rows: Documents, now: datetime, found: Findings) -> list[str]:
    last = rows[-1]
    ledger = str(last["run"])
    if ledger in chain.heads:
        found.anchored += 1
        problem = disagreement(chain, Head(ledger, len(rows), str(last["hash"])))
        return [*faults(rows), *([problem] if problem else [])]
    if last["kind"] != Kind.CLOSED:
        found.open.append(ledger)
        return breaks(rows)
    found.unanchored += 1
    problem = kept_out(chain, str(last["at"]), now) or await _lost_anchor(store, rows)
    return [*faults(rows), *([problem] if problem else [])]


def kept_out(chain: Chain, closed_at: str, now: datetime) -> str:
    """What is wrong with a closed ledger that is in no checkpoint; empty while it may still be waiting for one."""
    try:
        if abs(now - from_text(closed_at)) <= ANCHORED_WITHIN:
            return ""
    except ValueError:
        pass  # its row was changed, or it would be an instant
    last = f"the last one is of {chain.at}" if chain.at else "there is none"
    return f"is in no checkpoint, though it was closed at {closed_at}: {last}"


async def _lost_anchor(store: TableStore, rows: Documents) -> str:
    row = await store.get(CLOSINGS, str(rows[-1]["at"])[:10], str(rows[-1]["run"]))
    number = row.values.get("checkpoint") if row else None
    return f"was held by checkpoint {number}, which is missing or another now" if number else ""
