"""What a table store is, for the one in memory and for Azure Tables (Azurite) alike."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from azure.data.tables.aio._policies_async import AsyncTablesRetryPolicy

from sandbox.azurite import Azurite
from sandbox.certificates import Certificates
from shared.adapters.tables import Tables
from shared.errors import Conflict, Transient
from shared.ports import Row, TableStore
from tests.contract.credentials import Signed
from tests.fakes.tables import MemoryTables

pytestmark = pytest.mark.asyncio(loop_scope="module")
TABLE = "contract"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def azurite(
    certificates: Certificates, tmp_path_factory: pytest.TempPathFactory, trust: None
) -> AsyncIterator[str]:
    """The endpoint of an account's tables."""
    server = Azurite(certificates, tmp_path_factory.mktemp("azurite"), ["account"])
    await server.start()
    yield server.endpoint("Table", "account")
    await server.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["memory", "azurite"])
async def store(request: pytest.FixtureRequest, azurite: str) -> AsyncIterator[TableStore]:
    if request.param == "memory":
        yield MemoryTables()
        return
    tables = Tables(azurite, Signed("https://storage.azure.com"))
    yield tables
    await tables.close()


@pytest.fixture
def row() -> Callable[..., Row]:
    """Makes rows of a partition that this test alone uses."""
    partition = uuid.uuid4().hex

    def make(key: str = "k", **values: str | bool | float | datetime) -> Row:
        return Row(partition, key, values)

    return make


async def rows_of(store: TableStore, some: Row, **where: str | int) -> list[str]:
    return [row.key async for row in store.query(TABLE, some.partition, where)]


@pytest.mark.parametrize("others", [(), ("l", "m")], ids=["alone", "with others"])
async def test_a_row_that_is_inserted_is_the_row_that_is_got(
    store: TableStore, row: Callable[..., Row], others: tuple[str, ...]
) -> None:
    values = {
        "text": "x",
        "lines": 'one\r\n--batch\r\nHTTP/1.1 404 é 漢 "',
        "empty": "",
        "number": 7,
        "flag": True,
        "share": 0.5,
        "at": datetime(2026, 3, 2, 9, tzinfo=UTC),
    }
    versions = await store.insert(TABLE, [row(**values), *(row(other) for other in others)])
    found = await store.get(TABLE, row().partition, "k")
    assert found is not None
    assert dict(found.values) == values
    assert found.version == versions[0]
    assert len(versions) == 1 + len(others)


async def test_a_row_that_is_not_there_is_none(store: TableStore, row: Callable[..., Row]) -> None:
    assert await store.get(TABLE, row().partition, "k") is None


async def test_a_table_that_is_missing_is_empty_and_can_be_written(store: TableStore, row: Callable[..., Row]) -> None:
    """A new deployment needs no step before its first write."""
    one = row(a=1)
    tables = [f"missing{uuid.uuid4().hex}" for _ in range(4)]
    assert await store.get(tables[0], one.partition, "k") is None
    assert [found async for found in store.query(tables[1], one.partition)] == []
    await store.insert(tables[2], [one])
    await store.insert(tables[3], [one, row("l", a=2)])
    assert await store.get(tables[2], one.partition, "k") is not None
    assert len([found async for found in store.query(tables[3], one.partition)]) == 2


async def test_an_insert_of_what_exists_is_a_conflict(store: TableStore, row: Callable[..., Row]) -> None:
    await store.insert(TABLE, [row(a=1)])
    with pytest.raises(Conflict):
        await store.insert(TABLE, [row(a=2)])
    found = await store.get(TABLE, row().partition, "k")
    assert found is not None
    assert found.values["a"] == 1


async def test_a_transaction_of_a_hundred_is_written_whole(store: TableStore, row: Callable[..., Row]) -> None:
    await store.insert(TABLE, [row(f"{at:03d}", a=at) for at in range(100)])
    assert await rows_of(store, row()) == [f"{at:03d}" for at in range(100)]


async def test_a_transaction_in_which_one_row_exists_writes_none(store: TableStore, row: Callable[..., Row]) -> None:
    await store.insert(TABLE, [row("b")])
    with pytest.raises(Conflict):
        await store.insert(TABLE, [row("a"), row("b"), row("c")])
    assert await rows_of(store, row()) == ["b"]


async def test_inserting_nothing_is_nothing(store: TableStore) -> None:
    await store.insert(TABLE, [])


async def test_a_row_is_replaced_whole_by_who_read_its_version(store: TableStore, row: Callable[..., Row]) -> None:
    await store.insert(TABLE, [row(a=1, b=2)])
    read = await store.get(TABLE, row().partition, "k")
    assert read is not None
    await store.replace(TABLE, Row(read.partition, read.key, {"a": 3}, read.version))
    found = await store.get(TABLE, read.partition, read.key)
    assert found is not None
    assert dict(found.values) == {"a": 3}
    assert found.version != read.version


async def test_a_version_that_is_no_longer_there_is_a_conflict(store: TableStore, row: Callable[..., Row]) -> None:
    await store.insert(TABLE, [row(a=1)])
    read = await store.get(TABLE, row().partition, "k")
    assert read is not None
    await store.replace(TABLE, Row(read.partition, read.key, {"a": 2}, read.version))
    with pytest.raises(Conflict):
        await store.replace(TABLE, Row(read.partition, read.key, {"a": 3}, read.version))


async def test_replacing_a_row_that_is_not_there_is_a_conflict(store: TableStore, row: Callable[..., Row]) -> None:
    await store.insert(TABLE, [row("other")])
    version = (await anext(aiter(store.query(TABLE, row().partition)))).version
    with pytest.raises(Conflict):
        await store.replace(TABLE, Row(row().partition, "gone", {"a": 1}, version))


async def test_a_query_finds_the_rows_of_its_partition_in_key_order(store: TableStore, row: Callable[..., Row]) -> None:
    for key in ("c", "a", "b"):
        await store.insert(TABLE, [row(key, kind="x" if key != "b" else "y", number=len(key))])
    await store.insert(TABLE, [Row(f"{row().partition}0", "z", {"kind": "x"})])
    assert await rows_of(store, row()) == ["a", "b", "c"]
    assert await rows_of(store, row(), kind="x") == ["a", "c"]
    assert await rows_of(store, row(), kind="x", number=1) == ["a", "c"]
    assert await rows_of(store, row(), kind="z") == []
    assert await rows_of(store, row(), missing="x") == []


ODD = ["O'Brien", "''", "a b", "\N{SNOWMAN}", "x" * 200, "a&b=c", "100%", "+", "{}", "a,b", '"', "'; drop", "@", "$x"]
"""Slashes, backslashes, # and ? are not allowed in the keys of Azure Tables, nor are control characters."""


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
async def test_odd_characters_survive_in_keys_values_and_filters(
    store: TableStore, row: Callable[..., Row], text: str
) -> None:
    one = Row(f"{row().partition}{text}", text, {"value": text})
    await store.insert(TABLE, [one])
    found = await store.get(TABLE, one.partition, one.key)
    assert found is not None
    assert found.values["value"] == text
    await store.replace(TABLE, Row(one.partition, one.key, {"value": text, "again": text}, found.version))
    assert [r.key async for r in store.query(TABLE, one.partition, {"value": text, "again": text})] == [text]


@pytest.mark.parametrize("key", ["a/b", "a\\b", "a#b", "a?b"])
async def test_a_key_that_tables_do_not_take_is_never_written(
    store: TableStore, row: Callable[..., Row], key: str
) -> None:
    if not isinstance(store, MemoryTables):
        pytest.skip("Azurite takes what Azure refuses; the one in memory is as strict as Azure")
    with pytest.raises(ValueError, match="key"):
        await store.insert(TABLE, [row(key)])


async def test_a_value_of_30_000_characters_is_kept(store: TableStore, row: Callable[..., Row]) -> None:
    await store.insert(TABLE, [row(data="x" * 30_000)])
    found = await store.get(TABLE, row().partition, "k")
    assert found is not None
    assert len(str(found.values["data"])) == 30_000


async def test_pages_fit_together_and_the_last_one_says_so(store: TableStore, row: Callable[..., Row]) -> None:
    await store.insert(TABLE, [row(f"{at:02d}", odd=at % 2) for at in range(10)])
    seen: list[str] = []
    sizes: list[int] = []
    more: str | None = None
    for _ in range(5):
        page, more = await store.page(TABLE, row().partition, {}, 4, more)
        seen += [one.key for one in page]
        sizes.append(len(page))
        if more is None:
            break
        assert isinstance(more, str)
    assert seen == [f"{at:02d}" for at in range(10)]
    assert sizes == [4, 4, 2]


async def test_a_page_that_holds_all_has_no_continuation(store: TableStore, row: Callable[..., Row]) -> None:
    await store.insert(TABLE, [row("a"), row("b")])
    page, more = await store.page(TABLE, row().partition, {}, 50, None)
    assert (len(page), more) == (2, None)
    assert await store.page(TABLE, f"{row().partition}0", {}, 50, None) == ([], None)


async def test_rows_put_between_two_pages_break_nothing(store: TableStore, row: Callable[..., Row]) -> None:
    """What was there is read once; what came meanwhile may be missed, and the next reading has it."""
    await store.insert(TABLE, [row(key) for key in "bdf"])
    first, more = await store.page(TABLE, row().partition, {}, 2, None)
    await store.insert(TABLE, [row("a"), row("e")])
    rest, end = await store.page(TABLE, row().partition, {}, 9, more)
    seen = [one.key for one in (*first, *rest)]
    assert [key for key in seen if key in "bdf"] == ["b", "d", "f"]
    assert len(seen) == len(set(seen))
    assert end is None


async def test_more_rows_than_one_answer_holds_are_all_read(store: TableStore, row: Callable[..., Row]) -> None:
    """Tables answer a thousand rows at a time: a reader that stops there would believe in half a schedule."""
    for start in range(0, 1100, 100):
        await store.insert(TABLE, [row(f"{start + at:04d}") for at in range(100)])
    assert len(await rows_of(store, row())) == 1100


async def test_a_store_that_cannot_be_reached_is_transient(nowhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AsyncTablesRetryPolicy, "sleep", lambda *_, **__: asyncio.sleep(0))
    tables = Tables(f"{nowhere}/account", Signed("https://storage.azure.com"))
    try:
        with pytest.raises(Transient):
            await tables.get(TABLE, "p", "k")
    finally:
        await tables.close()
