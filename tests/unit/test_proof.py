"""Closed ledgers get into checkpoints: each, once, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.checkpoints import name_of, read
from shared.clock import to_text
from shared.closings import DAYS
from shared.closings import TABLE as CLOSINGS
from shared.errors import Conflict, Denied, Transient
from shared.ledger import Ledger
from shared.proof import LEAST_BETWEEN, MOST_HEADS, MOST_TRIES, last_number
from tests.fakes.checkpoints import MemoryContainer
from tests.fakes.wire import Crash, Wire
from tests.unit.chains import Books


@pytest.fixture
def books() -> Books:
    return Books()


async def held(books: Books) -> list[list[str]]:
    """The ledgers of each checkpoint, which must be a good chain."""
    chain = await books.chain()
    assert chain.faults == []
    contents = [books.container.blobs[name] for name in sorted(books.container.blobs)]
    return [sorted(head.ledger for head in read(content).checkpoint.heads) for content in contents]


async def test_what_was_closed_since_goes_into_the_next_checkpoint(books: Books) -> None:
    await books.close("a")
    await books.close("b")
    assert await books.proof.write() == 1
    await books.close("c")
    assert await books.proof.write() == 1
    assert await held(books) == [["a", "b"], ["c"]]


async def test_without_anything_closed_there_is_no_checkpoint(books: Books) -> None:
    assert await books.proof.write() == 0
    await books.close("a")
    await books.proof.write()
    assert await books.proof.write() == 0
    assert books.signer.signed == 1


async def test_a_ledger_that_is_said_to_be_closed_twice_is_held_once(books: Books) -> None:
    ledger = await books.close("a")
    await books.proof.closed(ledger)
    await books.proof.write()
    await books.writer().closed(ledger)
    await books.proof.write()
    assert await held(books) == [["a"]]


async def test_evidence_finds_the_checkpoint_that_holds_it(books: Books) -> None:
    ledger = await books.close("a")
    assert await books.proof.anchor_of(ledger) is None
    await books.proof.write()
    anchor = await books.proof.anchor_of(ledger)
    assert anchor is not None
    assert anchor.checkpoint.number == 1
    assert await books.proof.anchor_of(await Ledger.load(books.store, "open")) is None


async def test_a_ledger_that_was_changed_since_is_unanchored(books: Books) -> None:
    ledger = await books.close("a")
    await books.proof.write()
    ledger.rows.pop(-2)
    assert await books.proof.anchor_of(ledger) is None


async def test_many_closings_make_several_checkpoints_of_bounded_size(books: Books) -> None:
    for number in range(MOST_HEADS + 3):
        await books.close(f"{number:04d}")
    assert await books.proof.write() == 2
    assert [len(heads) for heads in await held(books)] == [MOST_HEADS, 3]


async def test_two_writers_do_not_fork_the_chain(books: Books) -> None:
    """The loser reads again and goes on from the winner's."""
    one, other = books.writer(), books.writer()
    await books.close("a")
    await one.write()
    await other.write()
    for name in ("b", "c", "d"):
        await books.close(name)
        await asyncio.gather(one.write(), other.write())
    heads = await held(books)
    assert sorted(name for names in heads for name in names) == ["a", "b", "c", "d"]


async def test_a_clock_that_is_behind_makes_no_checkpoint_older_than_the_one_before(books: Books) -> None:
    await books.close("a")
    await books.proof.write()
    books.clock.advance(timedelta(seconds=-5))
    await books.close("b")
    await books.writer().write()
    assert await held(books) == [["a"], ["b"]]


async def test_a_clock_that_was_wrong_by_far_is_not_followed(books: Books) -> None:
    books.clock.advance(timedelta(days=365))
    await books.close("a")
    await books.proof.write()
    books.clock.advance(timedelta(days=-365))
    await books.close("b")
    await books.writer().write()
    last = read(books.container.blobs[name_of(2)]).checkpoint
    assert last.at == to_text(books.clock.now())


def _copy(books: Books) -> bytes:
    return books.container.blobs[name_of(1)]


def _garbage(_: Books) -> bytes:
    return b"{"


@pytest.mark.parametrize("foreign", [_copy, _garbage], ids=["a copy", "garbage"])
@pytest.mark.parametrize("known", [True, False], ids=["known", "new"])
async def test_what_lies_under_the_next_numbers_is_passed_over_and_stays_named(
    books: Books, foreign: Callable[[Books], bytes], known: bool
) -> None:
    await books.close("a")
    await books.proof.write()
    for number in (2, 3, 7):
        books.container.blobs[name_of(number)] = foreign(books)
    proof = books.proof if known else books.writer()
    for number in range(5):
        await books.close(f"b{number}")
        assert await proof.write() == 1
    assert books.signer.signed == 6
    chain = await books.chain()
    assert {subject for subject, _ in chain.faults} == {f"checkpoint {number}" for number in (2, 3, 7)}
    assert set(chain.heads) == {"a", *(f"b{number}" for number in range(5))}
    first = read(_copy(books)).checkpoint
    assert read(books.container.blobs[name_of(4)]).checkpoint.previous == first.hash


async def test_a_blob_with_the_highest_number_leads_no_writer_astray(books: Books) -> None:
    await books.close("a")
    await books.proof.write()
    books.container.blobs["9999999999.json"] = _copy(books)
    await books.close("b")
    await books.writer().write()
    assert name_of(2) in books.container.blobs


async def test_many_foreign_blobs_are_passed_over_in_several_writings(books: Books) -> None:
    for number in range(1, MOST_TRIES + 2):
        books.container.blobs[name_of(number)] = b""
    await books.close("a")
    with pytest.raises(Transient):
        await books.proof.write()
    assert await books.proof.write() == 1
    assert name_of(MOST_TRIES + 2) in books.container.blobs


async def test_a_writer_that_always_loses_gives_up_for_now(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    async def taken(name: str, content: bytes) -> None:
        raise Conflict("another was first")

    monkeypatch.setattr(books.container, "add", taken)
    await books.close("a")
    with pytest.raises(Transient):
        await books.proof.write()
    assert books.signer.signed == MOST_TRIES


async def test_a_key_that_was_rotated_is_changed_for_the_current_one(books: Books) -> None:
    """The old version refuses; the checkpoint names the new one."""
    await books.close("a")
    books.signer.rotated_to = "next"
    await books.proof.write()
    assert (await books.chain("next")).faults == []


async def test_a_key_that_refuses_and_has_no_successor_is_denied(books: Books) -> None:
    await books.close("a")
    books.signer.rotated_to = "own"
    with pytest.raises(Denied):
        await books.proof.write()


async def test_a_writer_that_comes_late_finds_the_last_in_few_readings(books: Books) -> None:
    for number in range(70):
        await books.close(f"{number:02d}")
        await books.proof.write()
    await books.close("late")
    books.container.gets = 0
    await books.writer().write()
    assert books.container.gets < 20
    assert len(await held(books)) == 71


@given(st.integers(0, 10_000), st.integers(0, 10_000))
async def test_the_last_number_is_found_from_any_that_is_there(last: int, known: int) -> None:
    async def is_there(number: int) -> bool:
        return number <= last

    assert await last_number(min(known, last), is_there) == last


async def test_a_crash_anywhere_loses_no_closing_and_doubles_none() -> None:
    cuts = 0
    while True:
        books = Books()
        wire = Wire()
        books.container = MemoryContainer(wire)
        books.store._wire = wire
        wire.cut_after(cuts)
        try:
            for name in ("a", "b"):
                await books.close(name)
                await books.writer().write()
        except Crash:
            wire.revive()
        else:
            break
        for name in ("a", "b"):
            ledger = await Ledger.load(books.store, name)
            if ledger.closed:
                await books.writer().closed(ledger)  # as the redelivery does
        await books.writer().write()
        found = [name for names in await held(books) for name in names]
        assert len(found) == len(set(found))
        assert set(found) == {
            key[0] for key, row in books.store.rows["ledger"].items() if row.values["kind"] == "closed"
        }
        cuts += 1
    assert cuts > 10


async def test_days_that_are_over_are_not_read_again(books: Books) -> None:
    await books.close("a")
    await books.proof.write()
    books.clock.advance(timedelta(days=3))
    await books.proof.write()
    [day] = [row for (partition, _), row in books.store.rows[CLOSINGS].items() if partition == DAYS]
    assert day.values["open"] is False


async def test_a_ledger_whose_end_comes_days_later_opens_its_day_again(books: Books) -> None:
    """The closing row was written, then the process was away for days."""
    long_ago = books.clock.now()
    await books.close("a")
    books.clock.advance(timedelta(days=3))
    await books.proof.write()
    await books.proof.write()
    await books.close("b", at=long_ago)
    await books.writer().write()
    assert await held(books) == [["a"], ["b"]]


# -- at the end of a run


async def test_a_single_end_is_anchored_at_once(books: Books) -> None:
    await books.close("a")
    await books.proof.anchor()
    assert await held(books) == [["a"]]


async def test_many_ends_together_make_few_checkpoints_and_the_timer_has_the_rest(books: Books) -> None:
    for number in range(50):
        await books.close(f"{number:02d}")
        await books.proof.anchor()
        books.clock.advance(1)
    assert len(await held(books)) == 50 / LEAST_BETWEEN.total_seconds()
    await books.proof.write()
    assert sum(len(heads) for heads in await held(books)) == 50


async def test_a_failure_at_the_end_of_a_run_only_warns(books: Books, caplog: pytest.LogCaptureFixture) -> None:
    await books.close("a")
    for part in (books.container, books.signer):
        part.away = True
        await books.proof.anchor()
        part.away = False
        books.clock.advance(LEAST_BETWEEN)
    assert [record.message.split(" reason=")[0] for record in caplog.records] == ["checkpoint put off"] * 2
    assert books.container.blobs == {}


async def test_a_row_that_somebody_changed_does_not_make_a_run_fail(
    books: Books, caplog: pytest.LogCaptureFixture
) -> None:
    await books.close("a")
    for key, row in list(books.store.rows[CLOSINGS].items()):
        if key[0] != DAYS:
            books.store.rows[CLOSINGS][key] = replace(row, values={**row.values, "rows": "many"})
    await books.proof.anchor()
    assert [record.message for record in caplog.records] == ["checkpoint put off reason=ValueError"]


async def test_a_failure_of_the_timer_is_seen(books: Books) -> None:
    await books.close("a")
    books.signer.away = True
    with pytest.raises(Transient):
        await books.proof.write()
