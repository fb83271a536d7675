"""Table `closings`: which ledgers were closed on which day, and which checkpoint holds each.

Partition: the UTC day of the closing row, key: the ledger. The partition `days` lists the days that may have closings
which no checkpoint holds yet, so that what is to be done is found without reading what is done. The ledger itself is
the record: this table is only the way to it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.checkpoints import Head
from shared.clock import Clock, to_text
from shared.errors import Conflict
from shared.ledger import Ledger
from shared.ports import Row, TableStore, Value

TABLE = "closings"
DAYS = "days"
SETTLED_AFTER = timedelta(days=1)
"""A day is over for good once the next one is over too: whoever closes a ledger later opens its day again."""

AT_ONCE = 16
"""Rows that are marked side by side."""


@dataclass(frozen=True)
class Closing:
    """A closed ledger that no checkpoint is known to hold, as its row was read."""

    head: Head
    row: Row


class Closings:
    def __init__(self, store: TableStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._open: set[str] = set()

    async def add(self, ledger: Ledger) -> None:
        """Write down that this ledger is closed; the same again changes nothing."""
        last = ledger.rows[-1]
        day = last.at[:10]
        values: dict[str, Value] = {"rows": len(ledger.rows), "head": last.hash, "checkpoint": 0}
        with suppress(Conflict):  # it was added before a crash
            await self._store.insert(TABLE, [Row(day, ledger.run, values)])
        if day not in self._open or not self._is_recent(day):
            await self._open_day(day)

    async def checkpoint_of(self, ledger: str, closed_at: str) -> int:
        """The number of the checkpoint that holds it; 0: none that is known."""
        row = await self._store.get(TABLE, closed_at[:10], ledger)
        return 0 if row is None else int(str(row.values["checkpoint"]))

    async def pending(self, most: int) -> list[Closing]:
        """The oldest days' closings without a checkpoint, at most so many; days that have none are put aside."""
        found: list[Closing] = []
        async for day in self._store.query(TABLE, DAYS, {"open": True}):
            fresh = await self._of_day(day.key, most - len(found))
            found += fresh
            if len(found) == most:
                break
            if not fresh and not self._is_recent(day.key):
                await self._settle(day)
        return found

    async def mark(self, closings: list[Closing], number: int) -> None:
        """Write down which checkpoint holds them; whoever did it before wrote the same."""

        async def one(row: Row) -> None:
            with suppress(Conflict):
                await self._store.replace(TABLE, replace(row, values={**row.values, "checkpoint": number}))

        for start in range(0, len(closings), AT_ONCE):
            await asyncio.gather(*(one(closing.row) for closing in closings[start : start + AT_ONCE]))

    async def _of_day(self, day: str, most: int) -> list[Closing]:
        found: list[Row] = []
        more: str | None = None
        while True:
            rows, more = await self._store.page(TABLE, day, {"checkpoint": 0}, most - len(found), more)
            found += rows
            if more is None or len(found) >= most:
                return [_closing(row) for row in found]

    async def _open_day(self, day: str) -> None:
        """An older day is written anew even if it is open: who is about to put it aside then fails to."""
        row = await self._store.get(TABLE, DAYS, day)
        recent = self._is_recent(day)
        if row is None:
            with suppress(Conflict):  # another was first
                await self._store.insert(TABLE, [Row(DAYS, day, {"open": True})])
        elif not recent or not row.values["open"]:
            await self._store.replace(TABLE, replace(row, values={"open": True}))
        if recent:
            self._open = {known for known in self._open if self._is_recent(known)} | {day}

    async def _settle(self, day: Row) -> None:
        with suppress(Conflict):  # a ledger of that day was closed just now
            await self._store.replace(TABLE, replace(day, values={"open": False}))

    def _is_recent(self, day: str) -> bool:
        return day >= _day(self._clock.now() - SETTLED_AFTER)


def _closing(row: Row) -> Closing:
    return Closing(Head(row.key, int(str(row.values["rows"])), str(row.values["head"])), row)


def _day(instant: datetime) -> str:
    return to_text(instant)[:10]
