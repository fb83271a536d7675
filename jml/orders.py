"""Orders that a person leaves now, as rows of a table: each is its own truth until it is revoked."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime

from shared.clock import from_text, to_text
from shared.ports import Row, TableStore, Value
from shared.rows import put

TABLE, PARTITION = "terminations", "person"
QUESTIONS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:jml:terminations:v1")


@dataclass(frozen=True)
class Order:
    """The newest order about a person; `by`: the object id of who gave it. `revision` counts the orders."""

    person: str
    revision: int
    ordered_at: datetime
    by: str
    active: bool = True
    version: str = field(default="", compare=False)

    @property
    def question(self) -> str:
        """The id of the order's ledger: another caller, or another moment, is another order."""
        return str(uuid.uuid5(QUESTIONS, f"{self.person} {self.revision} {self.by} {to_text(self.ordered_at)}"))

    def revocation(self, by: str) -> str:
        """The id of the ledger of its revocation by somebody."""
        return str(uuid.uuid5(QUESTIONS, f"{self.question} revoked {by}"))


@dataclass(frozen=True)
class Orders:
    """Table `terminations`: key is the corporate object id."""

    store: TableStore

    async def get(self, person: str) -> Order | None:
        row = await self.store.get(TABLE, PARTITION, person)
        return None if row is None else _order(row)

    async def active(self) -> dict[str, Order]:
        """Every order that stands, by person."""
        return {row.key: _order(row) async for row in self.store.query(TABLE, PARTITION, {"active": True})}

    async def put(self, one: Order) -> None:
        values: dict[str, Value] = {
            "revision": one.revision,
            "ordered_at": to_text(one.ordered_at),
            "by": one.by,
            "active": one.active,
        }
        row = Row(PARTITION, one.person, values, one.version)
        await put(self.store, TABLE, row)


def _order(row: Row) -> Order:
    values = row.values
    active = values["active"] is True
    return Order(
        row.key,
        int(str(values["revision"])),
        from_text(str(values["ordered_at"])),
        str(values["by"]),
        active,
        row.version,
    )
