"""Tables of one tenant's directory, with Graph's replication delay.

A write is in force at once for what is written next, but shows on reads only after the delay: until then a read
gets the version from before. Rows are never changed in place, so that the older version stays what it was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Row: TypeAlias = dict[str, Any]
"""An object of Graph; names that start with an underscore are the sandbox's own and never leave it."""


@dataclass
class Table:
    """Rows by key. `indexed` names the fields that `where` finds by."""

    now: Callable[[], float]
    delay: float
    indexed: tuple[str, ...] = ()
    rows: dict[str, Row] = field(default_factory=dict)
    _older: dict[str, list[tuple[float, Row | None]]] = field(default_factory=dict)
    _index: dict[str, dict[str, dict[str, None]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._index = {name: defaultdict(dict) for name in self.indexed}

    def seed(self, key: str, row: Row) -> None:
        """Put a row that has always been there."""
        self.rows[key] = row
        self._note(key, row)

    def put(self, key: str, row: Row) -> None:
        self._keep(key)
        self.seed(key, row)

    def remove(self, key: str) -> None:
        if key in self.rows:
            self._keep(key)
            del self.rows[key]

    def get(self, key: str) -> Row | None:
        """The row as last written: what a write is checked against."""
        return self.rows.get(key)

    def seen(self, key: str) -> Row | None:
        """The row as a read shows it now."""
        if self._older and (older := self._version(key)) is not None:
            return older[1]
        return self.rows.get(key)

    def where(self, name: str, value: str) -> Iterator[Row]:
        """Rows as last written whose indexed field holds that value."""
        for key in list(self._index[name].get(value, ())):
            row = self.rows.get(key)
            if row is not None and row[name] == value:
                yield row

    def seen_where(self, name: str, value: str) -> Iterator[Row]:
        """Rows as a read shows them now whose indexed field holds that value."""
        for key in list(self._index[name].get(value, ())):
            row = self.seen(key)
            if row is not None and row[name] == value:
                yield row

    def seen_rows(self) -> Iterator[Row]:
        if not self._older:
            yield from self.rows.values()
            return
        for key in list(dict.fromkeys([*self.rows, *self._older])):
            if (row := self.seen(key)) is not None:
                yield row

    def _keep(self, key: str) -> None:
        if self.delay > 0:
            self._older.setdefault(key, []).append((self.now() + self.delay, self.rows.get(key)))

    def _version(self, key: str) -> tuple[float, Row | None] | None:
        """The oldest version that reads still show, if any; those past their time are dropped."""
        versions = self._older.get(key)
        if not versions:
            return None
        now = self.now()
        versions[:] = [version for version in versions if version[0] > now]
        if not versions:
            del self._older[key]
            return None
        return versions[0]

    def _note(self, key: str, row: Row) -> None:
        for name, keys in self._index.items():
            keys[str(row[name])][key] = None
