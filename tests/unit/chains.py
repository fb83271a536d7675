"""Closed ledgers, their checkpoints, and what a hand that should not could do to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared.audit import Findings, audit, read_chain
from shared.checkpoints import Chain
from shared.ledger import TABLE, Entry, Kind, Ledger
from shared.ports import Row
from shared.proof import Proof
from tests.fakes.checkpoints import MemoryContainer, MemorySigner, trusted
from tests.fakes.clock import MORNING, FakeClock
from tests.fakes.tables import MemoryTables

KINDS = [kind for kind in Kind if kind is not Kind.CLOSED]
SEQ = {kind: seq for seq, kind in enumerate([*KINDS, Kind.CLOSED])}
"""Kind → the sequence number of its one row in `close`d ledgers."""


class Books:
    """A deployment's ledger and checkpoints, over fakes."""

    def __init__(self) -> None:
        self.store, self.container, self.clock = MemoryTables(), MemoryContainer(), FakeClock()
        self.signer = MemorySigner()
        self.proof = self.writer()

    def writer(self) -> Proof:
        """Another process of the deployment."""
        return Proof(self.store, self.container, self.signer, self.clock)

    async def close(self, name: str, at: datetime | None = None) -> Ledger:
        """A ledger with one row of each kind, closed and to be anchored."""
        ledger = await written(self.store, name, at or self.clock.now())
        await self.proof.closed(ledger)
        return ledger

    async def chain(self, *keys: str) -> Chain:
        return await read_chain(self.container, trusted(*keys))

    async def audit(self) -> Findings:
        return await audit(self.store, await self.chain(), self.clock.now())

    # -- what somebody does with the table's own key

    def row(self, ledger: str, kind: Kind) -> Row:
        return self.store.rows[TABLE][ledger, f"{SEQ[kind]:08d}"]

    def put(self, row: Row) -> None:
        self.store.rows[TABLE][row.partition, row.key] = row

    def take(self, row: Row) -> None:
        del self.store.rows[TABLE][row.partition, row.key]

    def change(self, row: Row, **values: Any) -> None:
        self.put(replace(row, values={**row.values, **values}))


async def written(store: MemoryTables, name: str, at: datetime = MORNING) -> Ledger:
    ledger = await Ledger.load(store, name)
    entries = [Entry(kind, {"kind": kind.value, "facts": {"of": name}}, f"step {kind}") for kind in KINDS]
    await ledger.append(entries, at)
    await ledger.close({"outcome": "verified", "reason": ""}, at)
    return ledger


Tamper = Callable[[Books, Row], None]
