"""A run's memory: what is replayed from the ledger is what was in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jml.steps import DisableAccount, EndPackage, LeaveGroup, LeaverStep, RevokeSessions, recall
from shared.journal import Journal
from shared.ledger import Entry, Kind, Ledger
from shared.plan import FINAL, Attempt, Finding, Observation, Result
from tests.fakes.tables import MemoryTables
from tests.unit.ledgers import NOW, RUN

STEPS: tuple[LeaverStep, ...] = (DisableAccount("a"), RevokeSessions("a"), LeaveGroup("a", "g"), EndPackage("a", "p"))
SOME = st.lists(st.sampled_from(STEPS), min_size=1, unique=True)
ATTEMPTS = st.sampled_from([Result.SENT, Result.WAITING, Result.REFUSED, Result.BLOCKED])
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("attempt"), SOME, ATTEMPTS, st.sampled_from(["", "ref-1"])),
        st.tuples(st.just("intend"), SOME),
        st.tuples(st.just("protect"), SOME),
        st.tuples(st.just("settle"), SOME),
        st.tuples(st.just("give up"), SOME),
        st.tuples(st.just("resume"), SOME),
        st.tuples(st.just("find"), SOME),
        st.tuples(st.just("find nothing"), SOME),
    ),
    max_size=12,
)


async def fresh(store: MemoryTables) -> Journal[LeaverStep]:
    ledger = await Ledger.load(store, RUN)
    if not ledger.rows:
        await ledger.append([Entry(Kind.OPENED, {})], NOW)
    return Journal(ledger, recall, lambda: NOW)


async def planned(store: MemoryTables) -> Journal[LeaverStep]:
    journal = await fresh(store)
    journal.plan([(step, Observation(done=False, state={"was": 1})) for step in STEPS], [Finding("f", "k", "why")])
    return journal


def memory(journal: Journal[LeaverStep]) -> Any:
    """All that a run decides from; how long to wait was told by an answer and is not kept."""
    standings = {k: (s.step, dict(s.before), s.result, s.slice, s.reference) for k, s in journal.standings.items()}
    return standings, journal.findings, journal.slice, journal.results, journal.references


async def apply(journal: Journal[LeaverStep], move: Any) -> None:
    name, steps = move[0], move[1]

    def observe(step: LeaverStep, before: Mapping[str, Any]) -> Observation:
        done = name == "settle" and step in steps
        return Observation(done=done, state={}, gave_up="denied" if name == "give up" and step in steps else "")

    if name == "attempt":
        await journal.intend(steps)
        await journal.attempted([(step, Attempt(move[2], "why", reference=move[3])) for step in steps])
    elif name == "intend":
        await journal.intend(steps)
    elif name == "protect":
        journal.protect([(step, "guarded") for step in steps])
    elif name == "resume":
        journal.resume({})
    elif name.startswith("find"):
        found = [] if name == "find nothing" else [Finding(step.key, "k", "why") for step in steps]
        journal.plan([], found, whole=True)
    else:
        journal.settle(observe)


@given(MOVES)
async def test_a_replayed_journal_is_the_one_that_was_in_memory(moves: list[Any]) -> None:
    store = MemoryTables()
    journal = await planned(store)
    for move in moves:
        await apply(journal, move)
        await journal.intend([])  # writes what is staged
        assert memory(await fresh(store)) == memory(journal)


@given(MOVES)
async def test_what_is_protected_stays_so_and_what_is_verified_until_it_is_seen_undone(moves: list[Any]) -> None:
    journal = await planned(MemoryTables())
    for name, steps, *rest in moves:
        sent = name in ("intend", "attempt")
        move = (name, [step for step in steps if journal.ready(step) or not sent], *rest)
        before = dict(journal.results)
        await apply(journal, move)
        for key, result in before.items():
            seen_undone = name in ("settle", "give up") and key not in (
                {s.key for s in steps} if name == "settle" else ()
            )
            if result is Result.PROTECTED or (result is Result.VERIFIED and not seen_undone):
                assert journal.results[key] is result


async def test_a_step_is_sent_at_most_once_a_slice_and_never_when_settled() -> None:
    journal = await planned(MemoryTables())
    step = STEPS[2]
    assert journal.ready(step)
    await journal.intend([step])
    assert not journal.ready(step)
    journal.resume({})
    assert journal.ready(step)
    for result in FINAL:
        journal.standings[step.key].result = result
        assert not journal.ready(step)


async def test_a_step_that_goes_on_elsewhere_is_not_sent_again() -> None:
    journal = await planned(MemoryTables())
    package = STEPS[3]
    await journal.intend([package])
    await journal.attempted([(package, Attempt(Result.SENT, reference="request-1"))])
    journal.resume({})
    assert not journal.ready(package)
    assert journal.references == {package.key: "request-1"}


async def test_a_refused_step_that_took_effect_after_all_is_verified() -> None:
    journal = await planned(MemoryTables())
    step = STEPS[2]
    await journal.intend([step])
    await journal.attempted([(step, Attempt(Result.REFUSED, "no"))])
    await apply(journal, ("settle", [step]))
    assert journal.results[step.key] is Result.VERIFIED


async def test_a_step_that_was_never_sent_is_never_verified() -> None:
    journal = await planned(MemoryTables())
    await apply(journal, ("settle", list(STEPS)))
    assert journal.results == {}


async def test_planning_twice_writes_once() -> None:
    store = MemoryTables()
    journal = await planned(store)
    rows = len(store.rows["ledger"])
    journal.plan([(step, Observation(done=True, state={"was": 2})) for step in STEPS], [Finding("f", "k", "why")])
    assert len(store.rows["ledger"]) == rows
    assert journal.standings[STEPS[0].key].before == {"was": 1}


async def test_what_is_seen_undone_is_sent_again_and_not_waited_for_elsewhere() -> None:
    """Also after a crash: the finished request of before says nothing about what is there now."""
    store = MemoryTables()
    journal = await planned(store)
    step = STEPS[0]
    await apply(journal, ("attempt", [step], Result.SENT, "request-1"))
    await apply(journal, ("settle", [step]))
    assert journal.results[step.key] is Result.VERIFIED
    await apply(journal, ("settle", []))
    await apply(journal, ("resume", []))
    await journal.intend([])
    for one in (journal, await fresh(store)):
        assert one.results[step.key] is Result.WAITING
        assert one.references == {}
        assert one.ready(step)
