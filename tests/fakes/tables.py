"""Table storage in memory, with its versions, its transactions and its limits."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence

from shared.errors import Conflict
from shared.ports import Row, Value
from tests.fakes.wire import Wire

MOST_IN_TRANSACTION = 100
MOST_BYTES = 64 * 1024
FORBIDDEN_IN_KEYS = frozenset("/\\#?")


class MemoryTables:
    """TableStore over dictionaries. `rows` is open to tests that tamper."""

    def __init__(self, wire: Wire | None = None) -> None:
        self.rows: defaultdict[str, dict[tuple[str, str], Row]] = defaultdict(dict)
        self._wire = wire or Wire()
        self._versions = itertools.count(1)

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        _check([Row(partition, key, {})])
        return self.rows[table].get((partition, key))

    async def insert(self, table: str, rows: Sequence[Row]) -> list[str]:
        if not rows:
            return []
        _check(rows)
        self._wire.touch(f"before insert {table}")
        there = self.rows[table]
        if any((row.partition, row.key) in there for row in rows):
            raise Conflict(f"table {table}: another writer was first")
        versions = [self._put(table, row) for row in rows]
        self._wire.touch(f"after insert {table}")
        return versions

    async def replace(self, table: str, row: Row) -> str:
        _check([row])
        self._wire.touch(f"before replace {table}")
        known = self.rows[table].get((row.partition, row.key))
        if known is None or known.version != row.version:
            raise Conflict(f"table {table}: the row is gone or was changed")
        version = self._put(table, row)
        self._wire.touch(f"after replace {table}")
        return version

    async def query(self, table: str, partition: str, where: Mapping[str, Value] | None = None) -> AsyncIterator[Row]:
        for row in self._matching(table, partition, where or {}):
            yield row

    async def page(
        self, table: str, partition: str, where: Mapping[str, Value], size: int, continuation: str | None
    ) -> tuple[list[Row], str | None]:
        rows = [
            row for row in self._matching(table, partition, where) if continuation is None or row.key > continuation
        ]
        page = rows[:size]
        return page, page[-1].key if len(rows) > size else None

    async def scan(self, table: str) -> AsyncIterator[Row]:
        for _, row in sorted(self.rows[table].items()):
            yield row

    def _matching(self, table: str, partition: str, where: Mapping[str, Value]) -> list[Row]:
        rows = sorted(self.rows[table].items())
        return [
            row
            for (own, _), row in rows
            if own == partition and all(row.values.get(name) == value for name, value in where.items())
        ]

    def _put(self, table: str, row: Row) -> str:
        version = f"v{next(self._versions)}"
        self.rows[table][row.partition, row.key] = Row(row.partition, row.key, dict(row.values), version)
        return version


def _check(rows: Sequence[Row]) -> None:
    """What Azure Tables would refuse of a write is a mistake of the caller."""
    if len(rows) > MOST_IN_TRANSACTION or len({row.partition for row in rows}) > 1:
        raise ValueError("a transaction takes at most 100 rows of one partition")
    for row in rows:
        if FORBIDDEN_IN_KEYS & set(row.partition + row.key):
            raise ValueError(f"a key with one of {' '.join(sorted(FORBIDDEN_IN_KEYS))}")
        if any(isinstance(text, str) and len(text.encode("utf-16-le")) > MOST_BYTES for text in row.values.values()):
            raise ValueError("a property holds at most 64 KiB of UTF-16")
