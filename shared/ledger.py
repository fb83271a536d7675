"""The ledger: what a run meant to do and what came of it, as a chain of rows that nobody can quietly change.

Rows are only ever inserted. Each carries a sequence number and the hash of the row before it, so a changed, dropped
or reordered row breaks the chain; the closing row carries the count and the head. Two workers of one run would write
the same sequence number: the second fails on it, which is how it learns that it lost the order.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.clock import to_text
from shared.errors import Conflict, LostOrder
from shared.ports import Row, TableStore

TABLE = "ledger"
GENESIS = "0" * 64
MOST_AT_ONCE = 100
"""Rows of one transaction (Microsoft: table data model)."""
MOST_DATA = 30_000
"""Characters of one row's data: a table property holds 32 K (Microsoft: table data model)."""


class Kind(StrEnum):
    """What a ledger row says."""

    OPENED = "opened"
    PLANNED = "planned"
    LEFT = "left"
    RESOLVED = "resolved"
    PROTECTED = "protected"
    INTENT = "intent"
    ATTEMPTED = "attempted"
    VERIFIED = "verified"
    REOPENED = "reopened"
    WAITING = "waiting"
    RESUMED = "resumed"
    DECIDED = "decided"
    CLOSED = "closed"


@dataclass(frozen=True)
class Entry:
    """What is to be written: the step it is about, if any, and its facts (ids and times, never names)."""

    kind: Kind
    data: Mapping[str, Any]
    step: str = ""


@dataclass(frozen=True)
class LedgerRow:
    """One sealed row; `at` is UTC."""

    run: str
    seq: int
    at: str
    kind: str
    step: str
    data: Mapping[str, Any]
    prev: str
    hash: str

    def document(self) -> dict[str, Any]:
        return asdict(self)


FIELDS = {field.name for field in fields(LedgerRow)}


def canonical(value: object) -> str:
    """One text for one value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def seal(run: str, seq: int, at: str, entry: Entry, prev: str) -> LedgerRow:
    data = dict(entry.data)
    text = canonical([run, seq, at, entry.kind.value, entry.step, data, prev])
    if len(text) > MOST_DATA:
        raise ValueError(f"a ledger row of {len(text)} characters (at most {MOST_DATA}): {entry.kind} {entry.step}")
    return LedgerRow(run, seq, at, entry.kind.value, entry.step, data, prev, hashlib.sha256(text.encode()).hexdigest())


def faults(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Everything that is wrong with a run's rows, in their order: empty when the chain is whole and closed.

    `rows` are documents of LedgerRow, as the evidence carries them.
    """
    return breaks(rows) + _closing_faults(rows)


def breaks(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The same of rows that need not be all: where the chain is not what was written."""
    found: list[str] = []
    prev, expected = GENESIS, 0
    for row in rows:
        seq = row.get("seq")
        where = f"row {seq if type(seq) is int else expected}"
        if seq != expected:
            found.append(f"{where}: row {expected} was expected here: a row was dropped, added or moved")
        expected = (seq if type(seq) is int else expected) + 1
        if row.get("prev") != prev:
            found.append(f"{where}: does not follow the row before it")
        parts = [row.get(name) for name in ("run", "seq", "at", "kind", "step", "data", "prev")]
        if _digest(parts) != row.get("hash") or set(row) != FIELDS:
            found.append(f"{where}: its content was changed after it was written")
        if row.get("run") != rows[0].get("run"):
            found.append(f"{where}: belongs to another run")
        prev = str(row.get("hash"))
    return found


def _digest(parts: object) -> str:
    """The hash of these parts; of what no ledger could have written, none."""
    try:
        return hashlib.sha256(canonical(parts).encode()).hexdigest()
    except (TypeError, ValueError):
        return ""


def _closing_faults(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return ["there are no rows"]
    last = rows[-1]
    if last.get("kind") != Kind.CLOSED:
        return ["there is no closing row: the run is still open, or its tail was cut"]
    data = last.get("data")
    if not isinstance(data, Mapping) or data.get("rows") != len(rows) or data.get("head") != last.get("prev"):
        return ["the closing row's count and head are not those of the chain"]
    return []


class Ledger:
    """A run's own chain, from its first row to its last.

    `rows` has what is staged too: it is written, in order, with whatever is appended next, so that what a look at the
    world has shown costs no request of its own. A crash loses it, and the next look shows it again.
    """

    def __init__(self, store: TableStore, run: str, rows: list[LedgerRow]) -> None:
        self._store = store
        self.run = run
        self.rows = rows
        self._written = len(rows)

    @classmethod
    async def load(cls, store: TableStore, run: str) -> Ledger:
        """The chain as far as it was written; empty for a new run."""
        rows = [_from_row(run, row) async for row in store.query(TABLE, run)]
        return cls(store, run, rows)

    @property
    def head(self) -> str:
        return self.rows[-1].hash if self.rows else GENESIS

    @property
    def closed(self) -> bool:
        return bool(self.rows) and self.rows[-1].kind == Kind.CLOSED

    def stage(self, entries: Sequence[Entry], now: datetime) -> None:
        """Add the entries to the chain, to be written with what is appended next."""
        at = to_text(now)
        for entry in entries:
            self.rows.append(seal(self.run, len(self.rows), at, entry, self.head))

    async def append(self, entries: Sequence[Entry], now: datetime) -> None:
        """Write what is staged and the entries, in order, a hundred in one transaction.

        Raises LostOrder when another worker wrote this run's next row: this one must stop.
        """
        self.stage(entries, now)
        while rows := self.rows[self._written : self._written + MOST_AT_ONCE]:
            try:
                await self._store.insert(TABLE, [_to_row(row) for row in rows])
            except Conflict as conflict:
                raise LostOrder(f"run {self.run}: another worker writes its ledger") from conflict
            self._written += len(rows)

    async def close(self, data: Mapping[str, Any], now: datetime) -> None:
        """Write the closing row: the outcome, the number of rows with this one, and the head before it."""
        closing = {**data, "rows": len(self.rows) + 1, "head": self.head}
        await self.append([Entry(Kind.CLOSED, closing)], now)


PROPERTIES = {"at", "kind", "step", "prev", "hash", "data"}


def document_of(row: Row) -> dict[str, Any]:
    """A stored row as evidence carries it, whatever was done to it: what cannot be read shows in `faults`."""
    values: dict[str, Any] = dict(row.values)
    try:
        values["data"] = json.loads(str(values.get("data")))
    except (ValueError, RecursionError):
        values["data"] = None
    seq = int(row.key) if re.match(r"\d{8}\Z", row.key) else row.key
    known = {name: values.get(name) for name in sorted(PROPERTIES)}
    return {"run": row.partition, "seq": seq, **known} | {name: values[name] for name in values.keys() - PROPERTIES}


def _to_row(row: LedgerRow) -> Row:
    values = {"at": row.at, "kind": row.kind, "step": row.step, "prev": row.prev, "hash": row.hash}
    return Row(row.run, f"{row.seq:08d}", {**values, "data": canonical(row.data)})


def _from_row(run: str, row: Row) -> LedgerRow:
    text = {name: str(value) for name, value in row.values.items()}
    data = json.loads(text["data"])
    return LedgerRow(run, int(row.key), text["at"], text["kind"], text["step"], data, text["prev"], text["hash"])
