"""The ledger: nobody changes, drops, moves or cuts a row without it showing."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jml.evidence import evidence, problems
from shared.errors import LostOrder
from shared.ledger import GENESIS, MOST_DATA, Entry, Kind, Ledger, faults, seal
from tests.fakes.tables import MemoryTables
from tests.unit.ledgers import NOW, RUN, documents, written

ROWS = len(documents())
AT = st.integers(min_value=0, max_value=ROWS - 1)
VALUES: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.just({}) | st.just({"x": "y"})
)


def rows() -> list[dict[str, Any]]:
    return deepcopy(list(documents()))


def test_a_whole_chain_has_no_fault() -> None:
    assert faults(rows()) == []


@given(AT, st.sampled_from(sorted(documents()[0])), VALUES)
@settings(max_examples=300)
def test_any_changed_value_is_found(at: int, name: str, value: Any) -> None:
    changed = rows()
    assume(changed[at][name] != value)
    changed[at][name] = value
    assert faults(changed)


@given(AT, st.text(max_size=5), VALUES)
def test_any_changed_fact_is_found(at: int, name: str, value: Any) -> None:
    changed = rows()
    assume(changed[at]["data"].get(name, ...) != value)
    changed[at]["data"][name] = value
    assert faults(changed)


@given(AT)
def test_any_dropped_row_is_found(at: int) -> None:
    changed = rows()
    del changed[at]
    assert faults(changed)


@given(AT, AT)
def test_any_two_swapped_rows_are_found(one: int, other: int) -> None:
    assume(one != other)
    changed = rows()
    changed[one], changed[other] = changed[other], changed[one]
    assert faults(changed)


@given(AT)
def test_any_cut_tail_is_found(at: int) -> None:
    assert faults(rows()[:at])


@given(AT, AT)
def test_any_repeated_row_is_found(one: int, at: int) -> None:
    changed = rows()
    changed.insert(at, changed[one])
    assert faults(changed)


def test_a_row_that_is_sealed_anew_after_a_change_is_found_by_its_follower() -> None:
    changed = rows()
    first = changed[1]
    forged = seal(RUN, 1, first["at"], Entry(Kind(first["kind"]), {"forged": True}, first["step"]), first["prev"])
    changed[1] = forged.document()
    assert faults(changed) == ["row 2: does not follow the row before it"]


def test_a_tail_that_is_cut_and_closed_anew_shows_in_no_chain_but_in_its_head() -> None:
    """Why heads are kept elsewhere: whoever can write the whole table can write a shorter run."""
    cut = rows()[:3]
    closing = {"outcome": "verified", "reason": "", "rows": 4, "head": cut[-1]["hash"]}
    cut.append(seal(RUN, 3, cut[-1]["at"], Entry(Kind.CLOSED, closing), cut[-1]["hash"]).document())
    assert faults(cut) == []
    assert cut[-1]["hash"] != rows()[-1]["hash"]


def test_rows_of_another_run_are_found() -> None:
    changed = rows()
    changed[4]["run"] = "other"
    assert any("another run" in fault for fault in faults(changed))


@pytest.mark.parametrize(
    "shape",
    [
        [],
        [{}],
        [{"seq": 0}],
        [{"data": None}],
        [{"data": float("nan")}],
        [{"data": "\ud800"}],
        [{"kind": "closed", "data": None}],
        [{"kind": "closed", "data": []}],
    ],
)
def test_rows_of_no_known_shape_are_faults_and_no_error(shape: list[dict[str, Any]]) -> None:
    assert faults(shape)


async def test_whoever_lost_the_order_learns_it_on_the_next_row() -> None:
    store = MemoryTables()
    first, second = await Ledger.load(store, RUN), await Ledger.load(store, RUN)
    await first.append([Entry(Kind.OPENED, {})], NOW)
    with pytest.raises(LostOrder):
        await second.append([Entry(Kind.OPENED, {})], NOW)
    assert len(store.rows["ledger"]) == 1


async def test_what_is_staged_is_written_in_order_with_what_comes_next() -> None:
    store = MemoryTables()
    ledger = await Ledger.load(store, RUN)
    ledger.stage([Entry(Kind.OPENED, {})], NOW)
    ledger.stage([Entry(Kind.PLANNED, {}, "a"), Entry(Kind.PLANNED, {}, "b")], NOW)
    assert len(store.rows["ledger"]) == 0
    await ledger.append([Entry(Kind.INTENT, {}, "a")], NOW)
    kinds = [row.kind for row in (await Ledger.load(store, RUN)).rows]
    assert kinds == ["opened", "planned", "planned", "intent"]


async def test_more_entries_than_one_transaction_takes_are_one_chain() -> None:
    store = MemoryTables()
    ledger = await Ledger.load(store, RUN)
    await ledger.append([Entry(Kind.WAITING, {"at": at}) for at in range(250)], NOW)
    await ledger.close({"outcome": "verified"}, NOW)
    again = await Ledger.load(store, RUN)
    assert faults([row.document() for row in again.rows]) == []
    assert len(again.rows) == 251


async def test_what_is_loaded_is_what_was_written() -> None:
    store = MemoryTables()
    ledger = await written(store)
    again = await Ledger.load(store, RUN)
    assert again.rows == ledger.rows
    assert again.closed
    assert (again.head, Ledger(store, RUN, []).head) == (ledger.head, GENESIS)


def test_a_row_too_large_for_a_table_is_a_mistake_of_whoever_writes_it() -> None:
    with pytest.raises(ValueError, match="characters"):
        seal(RUN, 0, "now", Entry(Kind.WAITING, {"text": "x" * MOST_DATA}), GENESIS)


# -- evidence -----------------------------------------------------------------------------------------------------


def test_evidence_that_nobody_touched_has_no_problem() -> None:
    assert problems(evidence(rows())) == []


@given(st.sampled_from(sorted(evidence(rows()))), VALUES)
def test_any_changed_part_of_the_summary_is_found(name: str, value: Any) -> None:
    document = evidence(rows())
    assume(document[name] != value)
    assert problems({**document, name: value})


def test_each_part_of_the_summary_that_is_taken_out_is_found() -> None:
    document = evidence(rows())
    for name in document:
        assert problems({other: value for other, value in document.items() if other != name})


def test_a_part_that_is_added_to_the_summary_is_found() -> None:
    assert problems({**evidence(rows()), "signed": "by nobody"})


@pytest.mark.parametrize(
    "shape", [{}, {"rows": None}, {"rows": "x"}, {"rows": [1]}, {"rows": [{}]}, {"rows": [{"kind": "planned"}]}]
)
def test_a_document_of_no_known_shape_is_a_problem_and_no_error(shape: dict[str, Any]) -> None:
    assert problems(shape)


@given(AT, st.sampled_from(["run", "seq", "at", "kind", "step", "data", "prev", "hash"]))
def test_a_row_without_one_of_its_parts_is_a_problem_and_no_error(at: int, name: str) -> None:
    changed = rows()
    del changed[at][name]
    assert problems({**evidence(rows()), "rows": changed})


def test_evidence_tells_each_step_with_before_after_and_tries() -> None:
    first = evidence(rows())["steps"][0]
    assert (first["kind"], first["before"], first["after"]) == (
        "DisableAccount",
        {"was": "DisableAccount"},
        {"after": "DisableAccount"},
    )
    assert [sorted(one) for one in first["tries"]] == [["intendedAt"], ["answeredAt", "request", "result", "status"]]


def test_evidence_tells_containment_against_the_objective() -> None:
    found = evidence(rows())["containment"]
    assert found["contained"] is True
    assert found["secondsFromDue"] == 900
    assert found["objectiveMet"] is True


def test_containment_that_was_not_read_back_is_not_contained() -> None:
    open_rows = [row for row in rows() if not (row["kind"] == "verified" and row["step"].startswith("Revoke"))]
    found = evidence(open_rows)["containment"]
    assert found["contained"] is False
    assert "objectiveMet" not in found


def test_evidence_without_a_checkpoint_calls_itself_unanchored() -> None:
    assert evidence(rows())["chain"] == {"rows": ROWS, "head": rows()[-1]["hash"], "anchor": "unanchored"}


def test_evidence_of_an_open_run_says_so() -> None:
    document = evidence(rows()[:-1])
    assert document["outcome"] == "open"
    assert problems(document) == ["there is no closing row: the run is still open, or its tail was cut"]
