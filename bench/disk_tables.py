"""Tables in a file of SQLite: quick, and not in the memory of the process whose memory is measured."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from shared.errors import Conflict
from shared.ports import Row, Value

_MAKE = "CREATE TABLE rows (tab, part, key, vals, version, PRIMARY KEY (tab, part, key)) WITHOUT ROWID"
_READ = "SELECT part, key, vals, version FROM rows WHERE tab = ? AND part = ?"


class DiskTables:
    """TableStore with optimistic concurrency, for one process and plain values."""

    def __init__(self, file: Path) -> None:
        self._base = sqlite3.connect(file, isolation_level=None)
        self._base.execute("PRAGMA journal_mode = OFF")
        self._base.execute("PRAGMA synchronous = OFF")
        self._base.execute(_MAKE)
        self._versions = itertools.count(1)

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        found = self._base.execute(f"{_READ} AND key = ?", (table, partition, key)).fetchone()
        return None if found is None else _row(found)

    async def insert(self, table: str, rows: Sequence[Row]) -> list[str]:
        versions = [str(next(self._versions)) for _ in rows]
        values = [
            (table, row.partition, row.key, json.dumps(dict(row.values)), version)
            for row, version in zip(rows, versions, strict=True)
        ]
        try:
            self._base.execute("BEGIN")
            self._base.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", values)
            self._base.execute("COMMIT")
        except sqlite3.IntegrityError as error:
            self._base.execute("ROLLBACK")
            raise Conflict(f"table {table}: another writer was first") from error
        return versions

    async def replace(self, table: str, row: Row) -> str:
        version = str(next(self._versions))
        done = self._base.execute(
            "UPDATE rows SET vals = ?, version = ? WHERE tab = ? AND part = ? AND key = ? AND version = ?",
            (json.dumps(dict(row.values)), version, table, row.partition, row.key, row.version),
        )
        if done.rowcount == 0:
            raise Conflict(f"table {table}: the row is gone or was changed")
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
        return rows[:size], rows[size - 1].key if len(rows) > size else None

    async def scan(self, table: str) -> AsyncIterator[Row]:
        found = self._base.execute(
            "SELECT part, key, vals, version FROM rows WHERE tab = ? ORDER BY part, key", (table,)
        )
        for one in found.fetchall():
            yield _row(one)

    def _matching(self, table: str, partition: str, where: Mapping[str, Value]) -> list[Row]:
        rows = [_row(found) for found in self._base.execute(f"{_READ} ORDER BY key", (table, partition))]
        return [row for row in rows if all(row.values.get(name) == value for name, value in where.items())]

    def close(self) -> None:
        self._base.close()


def _row(found: tuple[str, str, str, str]) -> Row:
    partition, key, values, version = found
    return Row(partition, key, json.loads(values), version)
