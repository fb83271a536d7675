"""Who may begin to clean up, and when the others come again."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from shared.gate import RESERVE, Gate
from shared.turns import LAG, Turns
from tests.fakes.clock import FakeClock

LIMIT, SECONDS = 3000, 150.0
LEAVER = 39
FITS = int(LIMIT * (1 - RESERVE) / LEAVER)


class Stage:
    """A gate for writes, its turns, and a clock that is moved by hand."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.gate = Gate(LIMIT, SECONDS, self.clock)
        self.turns = Turns(self.gate)

    async def write(self, amount: float, *, urgent: bool = False) -> None:
        await self.gate.enter(amount, urgent=urgent, until=self.clock.now() + timedelta(days=1))
        self.gate.leave(amount, amount, urgent=urgent)
        if not urgent:
            self.turns.use(amount)

    def ask(self, *, again: bool = False, writes: int = LEAVER) -> float:
        return self.turns.ask(writes, again=again)


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_a_single_leaver_is_cleaned_up_at_once(stage: Stage) -> None:
    await stage.write(2, urgent=True)
    assert stage.ask() == 0


async def test_what_was_promised_is_not_promised_twice(stage: Stage) -> None:
    assert [stage.ask() for _ in range(FITS)] == [0] * FITS
    assert stage.ask() > 100


async def test_what_was_promised_and_sent_counts_once(stage: Stage) -> None:
    for _ in range(FITS // 2):
        assert stage.ask() == 0
        await stage.write(LEAVER)
    assert [stage.ask() for _ in range(FITS // 2)] == [0] * (FITS // 2)


async def test_a_promise_that_nobody_uses_is_forgotten(stage: Stage) -> None:
    for _ in range(FITS):
        stage.ask()
    stage.clock.advance(31)
    assert stage.ask() == 0


async def test_those_who_wait_are_told_different_times_that_keep_the_quota(stage: Stage) -> None:
    """A thousand runs are not told to come at the same second, and none is told later than the quota needs."""
    for _ in range(FITS):
        assert stage.ask() == 0
        await stage.write(LEAVER)
        stage.clock.advance(1)
    waits = [stage.ask() for _ in range(10 * FITS)]
    assert waits == sorted(waits)
    for at, wait in enumerate(waits):
        assert wait == pytest.approx((at // FITS + 1) * SECONDS * (1 + LAG) - FITS + at % FITS, abs=4)


async def test_who_comes_again_goes_before_who_never_waited(stage: Stage) -> None:
    for _ in range(FITS):
        stage.ask()
        await stage.write(LEAVER)
    first, second = stage.ask(), stage.ask()
    assert 140 < first <= second < SECONDS
    stage.clock.advance(first)
    assert stage.ask(again=True) == 0
    assert stage.ask(again=True) == 0


async def test_who_finds_the_window_full_again_waits_for_those_who_came_again_before(stage: Stage) -> None:
    """Not for those who were only told when to come: else whoever is late once would be last."""
    for _ in range(FITS):
        stage.ask()
        await stage.write(LEAVER)
        stage.clock.advance(1)
    told = [stage.ask() for _ in range(10 * FITS)]
    stage.clock.advance(told[0] - 20)
    assert [stage.ask(again=True) for _ in range(5)] == pytest.approx([18, 19, 20, 21, 22], abs=1.5)


async def test_a_booking_that_nobody_comes_for_is_given_away(stage: Stage) -> None:
    """The run went to another process."""
    for _ in range(FITS):
        stage.ask()
        await stage.write(LEAVER)
    for _ in range(FITS):
        stage.ask()
    stage.clock.advance(SECONDS * (1 + LAG) + 31)
    assert [stage.ask() for _ in range(FITS)] == [0] * FITS


async def test_while_people_are_contained_clean_up_leaves_them_the_window(stage: Stage) -> None:
    begun = 0
    for _ in range(200):
        await stage.write(2, urgent=True)
        begun += stage.ask() == 0
        stage.clock.advance(0.05)
    assert begun * LEAVER <= LIMIT / 10
    stage.clock.advance(30)
    assert stage.ask(again=True) == 0


async def test_nobody_begins_while_the_other_side_refuses(stage: Stage) -> None:
    stage.gate.close(60, urgent=False)
    assert 55 < stage.ask() <= 60


async def test_somebody_with_more_than_the_window_holds_is_let_in_when_half_of_it_is_free(stage: Stage) -> None:
    assert stage.ask(writes=10 * LIMIT) == 0
    assert stage.ask(writes=LIMIT) == 0
    assert stage.ask() > 0


class Ticking(FakeClock):
    """Time goes on while one looks."""

    def now(self) -> datetime:
        self.advance(timedelta(microseconds=1))
        return super().now()


def test_who_comes_again_is_answered_though_the_clock_goes_on_meanwhile() -> None:
    clock = Ticking()
    turns = Turns(Gate(LIMIT, SECONDS, clock))
    assert turns.ask(LEAVER, again=True) == 0
