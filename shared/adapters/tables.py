"""Azure Table storage. A missing table is made when it is first missed, so that a new deployment needs no step."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from azure.core import MatchConditions
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.core.pipeline.transport import AioHttpTransport
from azure.data.tables import TableEntity, UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from shared.adapters.failures import named
from shared.adapters.transactions import Transactions
from shared.ports import Row, Value

T = TypeVar("T")
PAGE = 1000
ROLE = "Storage Table Data Contributor on that table for the managed identity"
ROLES = {"ledger": "the role JML Ledger Writer on that table for the managed identity (docs/proof.md)"}
"""Table → the role that opens it, where it is not the usual one."""


class Tables:
    """TableStore over one storage account."""

    def __init__(self, endpoint: str, credential: AsyncTokenCredential) -> None:
        transport = AioHttpTransport()
        self._service = TableServiceClient(endpoint, credential=credential, transport=transport)
        self._transactions = Transactions(endpoint, credential, transport)
        self._clients: dict[str, TableClient] = {}

    async def close(self) -> None:
        await self._service.close()

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        async def read(client: TableClient) -> Row | None:
            try:
                return _row(await client.get_entity(partition, key))
            except ResourceNotFoundError as error:
                if _is_missing_table(error):
                    raise
                return None

        return await self._on(table, read)

    async def insert(self, table: str, rows: Sequence[Row]) -> list[str]:
        async def write(client: TableClient) -> list[str]:
            if len(rows) == 1:
                return [str((await client.create_entity(_entity(rows[0])))["etag"])]
            return await self._transactions.insert(table, rows) if rows else []

        return await self._on(table, write)

    async def replace(self, table: str, row: Row) -> str:
        async def write(client: TableClient) -> str:
            put = await client.update_entity(
                _entity(row),
                mode=UpdateMode.REPLACE,
                etag=row.version,
                match_condition=MatchConditions.IfNotModified,
            )
            return str(put["etag"])

        return await self._on(table, write)

    async def query(self, table: str, partition: str, where: Mapping[str, Value] | None = None) -> AsyncIterator[Row]:
        more: str | None = None
        while True:
            rows, more = await self.page(table, partition, where or {}, PAGE, more)
            for row in rows:
                yield row
            if more is None:
                return

    async def page(
        self, table: str, partition: str, where: Mapping[str, Value], size: int, continuation: str | None
    ) -> tuple[list[Row], str | None]:
        names = {f"p{position}": name for position, name in enumerate(where)}
        text = " and ".join(["PartitionKey eq @partition", *(f"{name} eq @{alias}" for alias, name in names.items())])
        values = {"partition": partition, **{alias: where[name] for alias, name in names.items()}}
        return await self._page(table, text, values, size, continuation)

    async def scan(self, table: str) -> AsyncIterator[Row]:
        more: str | None = None
        while True:
            rows, more = await self._page(table, "", {}, PAGE, more)
            for row in rows:
                yield row
            if more is None:
                return

    async def _page(
        self, table: str, text: str, values: dict[str, Value], size: int, continuation: str | None
    ) -> tuple[list[Row], str | None]:
        async def read(client: TableClient) -> tuple[list[Row], str | None]:
            query = client.query_entities(text, parameters=values, results_per_page=size)
            pages = query.by_page(_resume(continuation))
            rows = [_row(entity) async for entity in await anext(pages)]
            return rows, _continuation(pages)

        return await self._on(table, read)

    async def _on(self, table: str, work: Callable[[TableClient], Awaitable[T]]) -> T:
        client = self._clients.setdefault(table, self._service.get_table_client(table))
        try:
            try:
                return await work(client)
            except HttpResponseError as error:
                if not _is_missing_table(error):
                    raise
                await self._service.create_table_if_not_exists(table)
                return await work(client)
        except AzureError as error:
            raise named(f"table {table}", error, ROLES.get(table, ROLE)) from error


def _is_missing_table(error: HttpResponseError) -> bool:
    """By the code in its text: not every operation of the SDK puts it into `error_code`, or says 404."""
    return "TableNotFound" in str(error)


def _entity(row: Row) -> dict[str, Any]:
    return {"PartitionKey": row.partition, "RowKey": row.key, **row.values}


def _row(entity: TableEntity) -> Row:
    values = {name: value for name, value in entity.items() if name not in ("PartitionKey", "RowKey")}
    return Row(entity["PartitionKey"], entity["RowKey"], values, str(entity.metadata["etag"]))


def _resume(continuation: str | None) -> Any:
    """The SDK says that it takes a text, and takes and gives a mapping of the two keys."""
    if continuation is None:
        return None
    partition, _, key = continuation.partition("\n")
    return {"PartitionKey": partition, "RowKey": key}


def _continuation(pages: Any) -> str | None:
    token = pages.continuation_token
    if not token:
        return None
    return f"{token['PartitionKey']}\n{token.get('RowKey') or ''}"
