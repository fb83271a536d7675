"""Holds, as rows of a table."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from jml.breaker import Direction
from shared.clock import from_text, to_text
from shared.ports import Row, TableStore, Value
from shared.rows import put

TABLE, PARTITION = "holds", "hold"


class HoldState(StrEnum):
    OPEN = "open"
    RELEASED = "released"
    REFUSED = "refused"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Hold:
    """A hold's row. `digest`: of the plan as it was last made; `by`: object id of who decided."""

    id: str
    direction: Direction
    reason: str
    people: int
    digest: str
    opened_at: datetime
    expires_at: datetime
    state: HoldState = HoldState.OPEN
    by: str = ""
    decided_at: datetime | None = None
    version: str = field(default="", compare=False)


@dataclass(frozen=True)
class HoldRows:
    """Table `holds`: key is the hold's id."""

    store: TableStore

    async def get(self, name: str) -> Hold | None:
        row = await self.store.get(TABLE, PARTITION, name)
        return None if row is None else _hold(row)

    async def open(self) -> AsyncIterator[Hold]:
        async for row in self.store.query(TABLE, PARTITION, {"state": HoldState.OPEN.value}):
            yield _hold(row)

    async def page(
        self, where: Mapping[str, Value], size: int, continuation: str | None
    ) -> tuple[list[Hold], str | None]:
        rows, more = await self.store.page(TABLE, PARTITION, where, size, continuation)
        return [_hold(row) for row in rows], more

    async def put(self, one: Hold) -> Hold:
        """Insert a new row, or replace the version that was read; Conflict when it has changed since."""
        values: dict[str, Value] = {
            "direction": one.direction.value,
            "reason": one.reason,
            "people": one.people,
            "digest": one.digest,
            "opened_at": to_text(one.opened_at),
            "expires_at": to_text(one.expires_at),
            "state": one.state.value,
            "by": one.by,
            "decided_at": to_text(one.decided_at) if one.decided_at else "",
        }
        row = Row(PARTITION, one.id, values, one.version)
        return replace(one, version=await put(self.store, TABLE, row))


def document(one: Hold) -> dict[str, Any]:
    """What people are shown of a hold."""
    shown = {
        "id": one.id,
        "state": one.state.value,
        "direction": one.direction.value,
        "reason": one.reason,
        "people": one.people,
        "digest": one.digest,
        "openedAt": to_text(one.opened_at),
        "expiresAt": to_text(one.expires_at),
        "decidedBy": one.by or None,
        "decidedAt": to_text(one.decided_at) if one.decided_at else None,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _hold(row: Row) -> Hold:
    text = {name: str(value) for name, value in row.values.items()}
    return Hold(
        id=row.key,
        direction=Direction(text["direction"]),
        reason=text["reason"],
        people=int(text["people"]),
        digest=text["digest"],
        opened_at=from_text(text["opened_at"]),
        expires_at=from_text(text["expires_at"]),
        state=HoldState(text["state"]),
        by=text["by"],
        decided_at=from_text(text["decided_at"]) if text["decided_at"] else None,
        version=row.version,
    )
