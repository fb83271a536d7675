"""Writing one row: insert what is new, replace the version that was read."""

from __future__ import annotations

from shared.ports import Row, TableStore


async def put(store: TableStore, table: str, row: Row) -> str:
    """The version that was written. Raises Conflict when somebody else has written since `row` was read."""
    if row.version:
        return await store.replace(table, row)
    [version] = await store.insert(table, [row])
    return version
