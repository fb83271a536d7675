"""Whatever is done to the ledger by the table's own key is found, and named: which ledger, which row, how."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.closings import TABLE as CLOSINGS
from shared.ledger import TABLE, Entry, Kind, Ledger
from shared.ports import Row
from tests.unit.chains import SEQ, Books, Tamper, written

ONE, OTHER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


@pytest.fixture
async def books() -> Books:
    """Two anchored ledgers."""
    made = Books()
    await made.close(ONE)
    await made.close(OTHER)
    await made.proof.write()
    return made


async def found_in(books: Books) -> list[str]:
    """Findings about the first ledger; the other is never touched."""
    wrong = (await books.audit()).wrong
    assert {subject for subject, _ in wrong} <= {f"ledger {ONE}"}
    return [problem for _, problem in wrong]


async def test_what_nobody_touched_is_good(books: Books) -> None:
    found = await books.audit()
    assert found.wrong == []
    assert (found.ledgers, found.anchored, found.unanchored, found.open) == (2, 2, 0, [])
    assert found.rows == 2 * len(Kind)


def _data(books: Books, row: Row) -> None:
    books.change(row, data='{"outcome":"verified","facts":{}}')


def _no_json(books: Books, row: Row) -> None:
    books.change(row, data="{")


def _time(books: Books, row: Row) -> None:
    books.change(row, at="2026-01-01T00:00:00.000000Z")


def _time_as_another_type(books: Books, row: Row) -> None:
    books.change(row, at=datetime(2026, 3, 2, tzinfo=UTC))


def _step(books: Books, row: Row) -> None:
    books.change(row, step="DisableAccount:nobody")


def _kind(books: Books, row: Row) -> None:
    books.change(row, kind="waiting" if row.values["kind"] != "waiting" else "resumed")


def _hash(books: Books, row: Row) -> None:
    books.change(row, hash="0" * 64)


def _previous(books: Books, row: Row) -> None:
    books.change(row, prev="f" * 64)


def _one_more_property(books: Books, row: Row) -> None:
    books.change(row, note="seen by audit")


def _one_less_property(books: Books, row: Row) -> None:
    books.put(replace(row, values={name: value for name, value in row.values.items() if name != "step"}))


CHANGES: list[Tamper] = [
    _data,
    _no_json,
    _time,
    _time_as_another_type,
    _step,
    _kind,
    _hash,
    _previous,
    _one_more_property,
    _one_less_property,
]


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("tamper", CHANGES, ids=lambda change: change.__name__.strip("_"))
async def test_a_changed_row_is_named(books: Books, kind: Kind, tamper: Tamper) -> None:
    tamper(books, books.row(ONE, kind))
    assert any(problem.startswith(f"row {SEQ[kind]}: ") for problem in await found_in(books))


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.CLOSED])
async def test_a_dropped_row_is_named(books: Books, kind: Kind) -> None:
    books.take(books.row(ONE, kind))
    found = await found_in(books)
    assert f"row {SEQ[kind] + 1}: row {SEQ[kind]} was expected here: a row was dropped, added or moved" in found
    assert f"has {len(Kind) - 1} rows: checkpoint 1 says {len(Kind)}" in found


@pytest.mark.parametrize("kind", Kind)
async def test_a_cut_tail_is_found_wherever_it_is_cut(books: Books, kind: Kind) -> None:
    """What is left is a whole chain; only the checkpoint knows that there was more."""
    for seq in range(max(SEQ[kind], 1), len(Kind)):
        books.take(books.store.rows[TABLE][ONE, f"{seq:08d}"])
    found = await found_in(books)
    assert "there is no closing row: the run is still open, or its tail was cut" in found
    assert f"has {max(SEQ[kind], 1)} rows: checkpoint 1 says {len(Kind)}" in found


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.OPENED])
async def test_two_rows_that_changed_places_are_named(books: Books, kind: Kind) -> None:
    one, before = books.row(ONE, kind), books.store.rows[TABLE][ONE, f"{SEQ[kind] - 1:08d}"]
    books.put(replace(one, key=before.key))
    books.put(replace(before, key=one.key))
    found = await found_in(books)
    assert any(problem.startswith(f"row {SEQ[kind] - 1}: ") for problem in found)
    assert any(problem.startswith(f"row {SEQ[kind]}: ") for problem in found)


@pytest.mark.parametrize("kind", Kind)
async def test_a_row_that_is_there_twice_is_found(books: Books, kind: Kind) -> None:
    books.put(replace(books.row(ONE, kind), key=f"{len(Kind):08d}"))
    assert f"has {len(Kind) + 1} rows: checkpoint 1 says {len(Kind)}" in await found_in(books)


@pytest.mark.parametrize("key", ["3", "0000003x", "00000003 copy", "zzz"])
async def test_a_row_under_a_key_that_no_ledger_writes_is_found(books: Books, key: str) -> None:
    books.put(replace(books.row(ONE, Kind.INTENT), key=key))
    assert await found_in(books)


@pytest.mark.parametrize("kind", Kind)
async def test_a_row_of_another_ledger_is_named(books: Books, kind: Kind) -> None:
    books.put(replace(books.row(OTHER, kind), partition=ONE))
    assert any(problem.startswith(f"row {SEQ[kind]}: ") for problem in await found_in(books))


async def test_a_missing_ledger_is_named(books: Books) -> None:
    for key in [key for key in books.store.rows[TABLE] if key[0] == ONE]:
        del books.store.rows[TABLE][key]
    assert await found_in(books) == [f"is missing: checkpoint 1 holds it with {len(Kind)} rows"]


async def test_a_ledger_that_was_written_anew_with_good_hashes_is_found(books: Books) -> None:
    """Who can write the table can make a chain that fits in itself; the checkpoint has the head of the first one."""
    books.store.rows[TABLE] = {key: row for key, row in books.store.rows[TABLE].items() if key[0] != ONE}
    await written(books.store, ONE, books.clock.now() + timedelta(seconds=1))
    assert await found_in(books) == ["was written anew: its last hash is not the one that checkpoint 1 holds"]


async def test_a_ledger_that_is_open_is_good_as_far_as_it_goes(books: Books) -> None:
    ledger = await Ledger.load(books.store, "open")
    await ledger.append([Entry(Kind.OPENED, {}), Entry(Kind.INTENT, {}, "s")], books.clock.now())
    found = await books.audit()
    assert (found.wrong, found.open) == ([], ["open"])
    books.change(books.store.rows[TABLE]["open", "00000001"], step="t")
    assert (await books.audit()).wrong == [("ledger open", "row 1: its content was changed after it was written")]


async def test_a_ledger_that_was_closed_just_now_may_wait_for_its_checkpoint(books: Books) -> None:
    await written(books.store, "late", books.clock.now() - timedelta(minutes=59))
    found = await books.audit()
    assert (found.wrong, found.unanchored) == ([], 1)


async def test_a_ledger_that_was_kept_out_of_all_checkpoints_is_named(books: Books) -> None:
    """It was forged later, or somebody kept it from being anchored."""
    await written(books.store, "kept out", books.clock.now() - timedelta(minutes=61))
    [(subject, problem)] = (await books.audit()).wrong
    assert subject == "ledger kept out"
    assert problem.startswith("is in no checkpoint, though it was closed at ")


async def test_a_ledger_of_another_time_than_ours_is_not_waiting_for_a_checkpoint(books: Books) -> None:
    await written(books.store, "later", books.clock.now() + timedelta(days=1))
    [(subject, _)] = (await books.audit()).wrong
    assert subject == "ledger later"


@pytest.mark.parametrize("before", [True, False], ids=["that wrote before", "that never wrote"])
async def test_a_writer_that_has_stopped_is_noticed_by_what_it_left(before: bool) -> None:
    """No checkpoint comes after the ledger: it is the present that tells how late it is."""
    books = Books()
    if before:
        await books.close(ONE)
        await books.proof.write()
    await books.close("late")
    assert (await books.audit()).wrong == []
    books.clock.advance(timedelta(minutes=61))
    [(subject, problem)] = (await books.audit()).wrong
    assert subject == "ledger late"
    assert problem.endswith("Z" if before else ": there is none")


async def test_checkpoints_that_were_cut_off_at_the_end_are_missed(books: Books) -> None:
    """What says where to look remembers the number."""
    await books.close("third")
    await books.proof.write()
    del books.container.blobs["0000000002.json"]
    assert (await books.audit()).wrong == [
        ("ledger third", "was held by checkpoint 2, which is missing or another now")
    ]


async def test_what_leads_to_a_checkpoint_is_not_believed(books: Books) -> None:
    """The table `closings` may say what it likes of a ledger that is whole and held."""
    for key, row in list(books.store.rows[CLOSINGS].items()):
        books.store.rows[CLOSINGS][key] = replace(row, values={**row.values, "checkpoint": 7, "head": "x"})
    assert (await books.audit()).wrong == []
