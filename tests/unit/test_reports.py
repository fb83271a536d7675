"""What may be asked of runs, and what is refused by name."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jml.reports import MOST, OF_RUNS, Reports
from jml.state import RunRecord, Runs, RunState
from shared.bodies import BadRequest
from shared.errors import NotThere
from shared.proof import Proof
from tests.fakes.checkpoints import MemoryContainer, MemorySigner
from tests.fakes.clock import FakeClock
from tests.fakes.tables import MemoryTables
from tests.unit.ledgers import RUN, written

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ONE, OTHER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def over(store: MemoryTables) -> Reports:
    return Reports(store, Proof(store, MemoryContainer(), MemorySigner(), FakeClock()))


@pytest.fixture
async def reports() -> Reports:
    """Seven runs of two people: odd ones closed."""
    store = MemoryTables()
    for at in range(7):
        closed = {"state": RunState.CLOSED, "outcome": "partial", "closed_at": NOW} if at % 2 else {}
        person = ONE if at < 4 else OTHER
        run = RunRecord(f"0000000{at}-0000-4000-8000-000000000000", person, 1, NOW + timedelta(minutes=at), **closed)  # type: ignore[arg-type]
        await Runs(store).put(run)
    return over(store)


async def test_runs_are_found_by_person_state_and_outcome(reports: Reports) -> None:
    async def count(**query: str) -> int:
        return len((await reports.runs(query))["runs"])

    assert await count() == 7
    assert await count(person=ONE) == 4
    assert await count(state="closed") == 3
    assert await count(person=ONE, outcome="partial") == 2
    assert await count(person=RUN) == 0


async def test_pages_fit_together_and_the_last_has_no_continuation(reports: Reports) -> None:
    seen: list[str] = []
    query = {"top": "3"}
    for _ in range(3):
        page = await reports.runs(query)
        seen += [run["id"] for run in page["runs"]]
        if "continuation" in page:
            query = {"top": "3", "continuation": page["continuation"]}
    assert len(seen) == len(set(seen)) == 7
    assert "continuation" not in page


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("person", "O'Brien"),
        ("person", ONE.upper().replace("1", "A")),
        ("person", f"{ONE}\n"),
        ("person", ""),
        ("state", "shut"),
        ("state", "Closed"),
        ("outcome", "completed"),
        ("top", "0"),
        ("top", "-1"),
        ("top", str(MOST + 1)),
        ("top", "1" * 5000),
        ("top", "0001009999"),
        ("top", "0002" + "0" * 5000),
        ("top", "1.5"),
        ("top", "\N{ARABIC-INDIC DIGIT FIVE}"),
        ("top", ""),
        ("continuation", "***"),
        ("continuation", "a"),
        ("continuation", "\N{SNOWMAN}"),
        ("$filter", "1 eq 1"),
        ("Person", ONE),
    ],
)
async def test_a_parameter_that_is_not_expected_is_refused_by_name(reports: Reports, name: str, value: str) -> None:
    with pytest.raises(BadRequest) as refused:
        await reports.runs({name: value})
    assert str(refused.value).startswith(f"{name}: ")


@given(st.dictionaries(st.sampled_from([*OF_RUNS, "top", "continuation", "x"]), st.text(max_size=20), max_size=3))
async def test_no_query_makes_another_error(query: dict[str, str]) -> None:
    with contextlib.suppress(BadRequest):
        assert "runs" in await over(MemoryTables()).runs(query)


@pytest.mark.parametrize(
    "run", [OTHER, "", "x", f"{RUN}\n", f" {RUN}", "../people/person", "a'b", "\N{SNOWMAN}", RUN * 99]
)
async def test_an_id_that_nobody_has_finds_nothing_and_asks_no_table(reports: Reports, run: str) -> None:
    for look in (reports.run, reports.evidence):
        with pytest.raises(NotThere):
            await look(run)


async def test_a_run_and_its_evidence_are_found_by_id() -> None:
    store = MemoryTables()
    await written(store)
    await Runs(store).put(RunRecord(RUN, ONE, 1, NOW))
    reports = over(store)
    found, proof = await reports.run(RUN), await reports.evidence(RUN)
    assert found is not None
    assert found["id"] == RUN
    assert proof is not None
    assert proof["outcome"] == "partial"
