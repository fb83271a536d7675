"""A checkpoint that was forged, taken away or moved is found, and named."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.checkpoints import NoCheckpoint, from_document, read
from tests.fakes.checkpoints import MemorySigner
from tests.unit.chains import Books

NAMES = [f"{number:010d}.json" for number in range(1, 5)]


@pytest.fixture
async def books() -> Books:
    """Four checkpoints, of one ledger each."""
    made = Books()
    for number in range(1, 5):
        await made.close(f"run {number}")
        await made.proof.write()
        made.clock.advance(60)
    return made


async def faults(books: Books, *keys: str) -> list[tuple[str, str]]:
    return (await books.chain(*keys)).faults


async def test_a_chain_that_nobody_touched_is_good_and_holds_all_heads(books: Books) -> None:
    chain = await books.chain()
    assert chain.faults == []
    assert set(chain.heads) == {f"run {number}" for number in range(1, 5)}
    assert sorted(books.container.blobs) == NAMES
    assert chain.number == 4


async def test_what_is_kept_is_what_is_read_again(books: Books) -> None:
    for content in books.container.blobs.values():
        assert read(content).content() == content


def _number(one: dict[str, Any]) -> None:
    one["checkpoint"]["number"] = 9


def _time(one: dict[str, Any]) -> None:
    one["checkpoint"]["at"] = "2026-03-02T09:01:00.000000Z"


def _previous(one: dict[str, Any]) -> None:
    one["checkpoint"]["previous"] = "a" * 64


def _head(one: dict[str, Any]) -> None:
    one["checkpoint"]["heads"][0]["head"] = "b" * 64


def _rows(one: dict[str, Any]) -> None:
    one["checkpoint"]["heads"][0]["rows"] += 1


def _ledger(one: dict[str, Any]) -> None:
    one["checkpoint"]["heads"][0]["ledger"] = "another"


def _no_head(one: dict[str, Any]) -> None:
    one["checkpoint"]["heads"] = []


def _key(one: dict[str, Any]) -> None:
    one["checkpoint"]["key"]["id"] = "https://vault.example/keys/other"


def _signature(one: dict[str, Any]) -> None:
    one["signature"] = "A" + one["signature"][1:] if one["signature"][0] != "A" else "B" + one["signature"][1:]


@pytest.mark.parametrize(
    "forge", [_number, _time, _previous, _head, _rows, _ledger, _no_head, _key, _signature], ids=lambda f: f.__name__
)
async def test_a_forged_checkpoint_is_named_and_vouches_for_nothing(
    books: Books, forge: Callable[[dict[str, Any]], None]
) -> None:
    document = json.loads(books.container.blobs[NAMES[1]])
    forge(document)
    books.container.blobs[NAMES[1]] = json.dumps(document).encode()
    chain = await books.chain()
    assert ("checkpoint 2", "carries a signature that does not fit its content") in chain.faults
    assert "run 2" not in chain.heads
    assert "another" not in chain.heads


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b'{"checkpoint": {}, "signature": ""}'])
async def test_a_checkpoint_that_is_none_is_named(books: Books, content: bytes) -> None:
    books.container.blobs[NAMES[2]] = content
    [(subject, problem)] = await faults(books)
    assert (subject, problem.startswith("cannot be read: ")) == ("checkpoint 3", True)


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_a_missing_checkpoint_is_named(books: Books, number: int) -> None:
    del books.container.blobs[NAMES[number - 1]]
    assert await faults(books) == [(f"checkpoint {number}", "is missing")]


async def test_a_gap_is_one_finding_however_wide_it_is(books: Books) -> None:
    books.container.blobs["9999999999.json"] = books.container.blobs[NAMES[3]]
    assert ("checkpoint 5 to 9999999998", "is missing") in await faults(books)


async def test_a_time_that_nobody_signed_makes_no_later_checkpoint_older(books: Books) -> None:
    document = json.loads(books.container.blobs[NAMES[1]])
    document["checkpoint"]["at"] = "2999-01-01T00:00:00.000000Z"
    books.container.blobs[NAMES[1]] = json.dumps(document).encode()
    assert not any("is older" in problem for _, problem in await faults(books))


async def test_two_checkpoints_that_changed_places_are_named(books: Books) -> None:
    blobs = books.container.blobs
    blobs[NAMES[1]], blobs[NAMES[2]] = blobs[NAMES[2]], blobs[NAMES[1]]
    found = await faults(books)
    assert ("checkpoint 2", "carries the number 3: it was moved here") in found
    assert ("checkpoint 3", "carries the number 2: it was moved here") in found


async def test_a_chain_that_goes_on_from_elsewhere_is_named(books: Books) -> None:
    """Signed with the right key, but on another past: the last two of a chain that had another beginning."""
    other = Books()
    for number in range(1, 5):
        await other.close(f"other {number}")
        await other.proof.write()
        other.clock.advance(60)
    books.container.blobs.update({name: other.container.blobs[name] for name in NAMES[2:]})
    assert await faults(books) == [("checkpoint 3", "does not follow the checkpoint before it")]


async def test_a_chain_signed_with_a_key_that_is_not_trusted_vouches_for_nothing(books: Books) -> None:
    chain = await books.chain("other")
    assert [subject for subject, _ in chain.faults] == [f"checkpoint {number}" for number in range(1, 5)]
    assert all("is signed with another key" in problem for _, problem in chain.faults)
    assert chain.heads == {}


async def test_a_key_may_be_replaced_by_one_that_is_trusted_too(books: Books) -> None:
    books.signer = MemorySigner("next")
    books.proof = books.writer()
    await books.close("run 5")
    await books.proof.write()
    assert await faults(books, "own", "next") == []
    [(subject, _)] = await faults(books, "own")
    assert subject == "checkpoint 5"


async def test_a_name_that_no_checkpoint_has_is_named(books: Books) -> None:
    books.container.blobs["5.json"] = books.container.blobs[NAMES[3]]
    assert await faults(books) == [("5.json", "is not the name of a checkpoint")]


@pytest.mark.parametrize(
    ("part", "field", "odd"),
    [
        ("checkpoint", "at", "0001-01-01T00:00:00+23:00"),
        ("checkpoint", "number", True),
        ("key", "id", "\ud800"),
    ],
    ids=["a time before all calendars", "no number", "a text that cannot be written, so has no hash"],
)
async def test_a_field_that_nothing_could_have_written_is_no_checkpoint(
    books: Books, part: str, field: str, odd: object
) -> None:
    document = json.loads(books.container.blobs[NAMES[0]])
    inner = document["checkpoint"]
    (inner if part == "checkpoint" else inner[part])[field] = odd
    with pytest.raises(NoCheckpoint):
        from_document(document)


@pytest.mark.parametrize("content", [b'{"checkpoint": ' + b"9" * 5000 + b"}", b"[" * 100_000], ids=["long", "deep"])
def test_content_that_cannot_be_parsed_is_no_checkpoint(content: bytes) -> None:
    with pytest.raises(NoCheckpoint):
        read(content)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_no_document_makes_another_error(document: object) -> None:
    with pytest.raises(NoCheckpoint):
        from_document(document)


async def test_every_field_is_needed_and_none_beside(books: Books) -> None:
    good = json.loads(books.container.blobs[NAMES[0]])
    for path in ((), ("checkpoint",), ("checkpoint", "key"), ("checkpoint", "heads", 0)):
        place: Any = good
        for step in path:
            place = place[step]
        for name in (*place, "more"):
            wrong = copy.deepcopy(good)
            at: Any = wrong
            for step in path:
                at = at[step]
            if name in at:
                del at[name]
            else:
                at[name] = 1
            with pytest.raises(NoCheckpoint):
                from_document(wrong)
