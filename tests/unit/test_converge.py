"""The one loop with effects, over a work that does what a test says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from jml.steps import DisableAccount, LeaveGroup, LeaverStep, MarkAccount, RevokeSessions, recall
from shared.converge import Patience, Pause, converge
from shared.errors import Unsafe
from shared.journal import Journal
from shared.ledger import Ledger
from shared.plan import Attempt, Chain, Observation, Phase, Plan, Result
from tests.fakes.clock import FakeClock
from tests.fakes.tables import MemoryTables

FIRST, SECOND = LeaveGroup("a", "g1"), LeaveGroup("a", "g2")
MARK = MarkAccount("a", "x", "later")


class Work:
    """Steps take effect when they are sent, unless `stuck`; `guarded` may not be sent from the `trap`th look on."""

    def __init__(self, *phases: Phase[LeaverStep]) -> None:
        self.phases = phases
        self.sent: list[LeaverStep] = []
        self.stuck: set[LeaverStep] = set()
        self.answers: dict[LeaverStep, Attempt] = {}
        self.guarded: set[LeaverStep] = set()
        self.trap = 0
        self.looks = 0
        self.admissions = 0
        self.deep: list[bool] = []

    async def gather(self, *, deep: bool, references: Mapping[str, str]) -> None:
        self.deep.append(deep)

    def plan(self, results: Mapping[str, Result]) -> Plan[LeaverStep]:
        left = [
            Phase(p.name, tuple(c for c in p.chains if not all(self._done(s) for s in c)), p.waits) for p in self.phases
        ]
        return Plan(tuple(left), complete=self.deep[-1])

    def guard(self, step: LeaverStep) -> str | None:
        self.looks += step in self.guarded
        return "protected" if step in self.guarded and self.looks > self.trap else None

    def observe(self, step: LeaverStep, before: Mapping[str, Any]) -> Observation:
        return Observation(done=self._done(step), state={})

    async def apply(self, chains: Sequence[Chain[LeaverStep]]) -> list[tuple[LeaverStep, Attempt]]:
        steps = [step for chain in chains for step in chain]
        self.sent += steps
        return [(step, self.answers.get(step, Attempt(Result.SENT))) for step in steps]

    def room(self, chains: Sequence[Chain[LeaverStep]]) -> float:
        return 0.0

    async def admit(self) -> None:
        self.admissions += 1

    def _done(self, step: LeaverStep) -> bool:
        return step in self.sent and step not in self.stuck and step not in self.answers


def phase(*steps: LeaverStep, waits: bool = False) -> Phase[LeaverStep]:
    return Phase("p", tuple((step,) for step in steps), waits=waits)


async def run(
    work: Work, *, journal: Journal[LeaverStep] | None = None, slice_s: float = 240, waits: bool = True
) -> Any:
    clock = FakeClock()
    journal = journal or await fresh()
    patience = Patience(clock.now() + timedelta(seconds=slice_s), 60, waits=waits)
    return await converge(work, journal, clock, patience), journal, clock


async def fresh() -> Journal[LeaverStep]:
    return Journal(await Ledger.load(MemoryTables(), "run"), recall, FakeClock().now)


async def test_everything_is_sent_once_and_verified_by_the_next_look() -> None:
    work = Work(phase(FIRST, SECOND))
    pause, journal, _ = await run(work)
    assert pause is None
    assert work.sent == [FIRST, SECOND]
    assert set(journal.results.values()) == {Result.VERIFIED}


async def test_it_looks_deeply_before_it_says_that_nothing_is_left() -> None:
    work = Work()
    assert (await run(work))[0] is None
    assert work.deep == [False, True]


async def test_a_phase_that_waits_is_not_begun_while_an_effect_is_unknown() -> None:
    work = Work(phase(FIRST), phase(MARK, waits=True))
    work.stuck = {FIRST}
    pause, _, clock = await run(work)
    assert pause == Pause(60)
    assert work.sent == [FIRST]
    assert clock.slept == [0.5, 1.0, 2.0]


async def test_a_phase_is_begun_once_the_one_before_was_read_back() -> None:
    """Containment shows half a second late: the clean-up begins after that, not before."""

    class Lagging(Work):
        def _done(self, step: LeaverStep) -> bool:
            return super()._done(step) and (step is not FIRST or len(self.deep) > 2)

        async def apply(self, chains: Sequence[Chain[LeaverStep]]) -> list[tuple[LeaverStep, Attempt]]:
            seen.append(self._done(FIRST))
            return await super().apply(chains)

    seen: list[bool] = []
    work = Lagging(phase(FIRST), phase(SECOND))
    pause, _, clock = await run(work)
    assert pause is None
    assert work.sent == [FIRST, SECOND]
    assert seen == [False, True]
    assert clock.slept == [0.5]


async def test_a_phase_is_begun_all_the_same_when_the_one_before_does_not_show() -> None:
    work = Work(phase(FIRST), phase(SECOND))
    work.stuck = {FIRST}
    await run(work)
    assert work.sent == [FIRST, SECOND]


async def test_a_phase_waits_for_one_before_it_that_was_not_answered() -> None:
    work = Work(phase(FIRST), phase(SECOND))
    work.answers = {FIRST: Attempt(Result.WAITING)}
    pause, _, _ = await run(work)
    assert pause == Pause(60)
    assert work.sent == [FIRST]


async def test_a_phase_that_waits_does_not_wait_for_what_was_refused() -> None:
    work = Work(phase(FIRST), phase(MARK, waits=True))
    work.answers = {FIRST: Attempt(Result.REFUSED)}
    assert (await run(work))[0] is None
    assert work.sent == [FIRST, MARK]


async def test_a_phase_that_waits_does_not_wait_for_itself() -> None:
    work = Work(phase(MARK, waits=True))
    work.answers = {MARK: Attempt(Result.WAITING)}
    pause, journal, _ = await run(work)
    assert pause == Pause(60)
    work.answers = {}
    work.sent.clear()
    journal.resume({})
    assert (await run(work, journal=journal))[0] is None
    assert work.sent == [MARK]


async def test_a_run_that_has_waited_long_enough_goes_on_without_what_is_unknown() -> None:
    work = Work(phase(FIRST), phase(MARK, waits=True))
    work.stuck = {FIRST}
    await run(work, waits=False)
    assert work.sent == [FIRST, MARK]


async def test_a_pause_is_as_long_as_the_other_side_asks() -> None:
    work = Work(phase(FIRST))
    work.answers = {FIRST: Attempt(Result.WAITING, retry_after=300)}
    assert (await run(work))[0] == Pause(300)


async def test_a_slice_that_is_over_begins_no_further_write() -> None:
    work = Work(phase(FIRST))
    assert (await run(work, slice_s=0))[0] == Pause(0)
    assert work.sent == []


async def test_a_guarded_step_is_recorded_and_never_sent() -> None:
    work = Work(phase(FIRST, SECOND))
    work.guarded = {FIRST}
    _, journal, _ = await run(work)
    assert work.sent == [SECOND]
    assert journal.results[FIRST.key] is Result.PROTECTED


async def test_a_guard_that_changes_its_mind_before_the_sending_stops_the_run() -> None:
    """The executor asks once more: nothing of the batch goes out, whatever the plan said."""
    work = Work(phase(DisableAccount("a"), RevokeSessions("a")))
    work.guarded, work.trap = {RevokeSessions("a")}, 2
    with pytest.raises(Unsafe, match="protected"):
        await run(work)
    assert work.sent == []
