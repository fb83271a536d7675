"""The limit's arithmetic, and places that are taken by comparison."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jml.breaker import Breaker, Direction, Places, admits, most
from jml.policy import Limits
from jml.state import Link, People
from shared.errors import Held
from tests.fakes.clock import FakeClock
from tests.fakes.tables import MemoryTables

LEAVER = Direction.LEAVER


def limits(count: int = 20, share: float = 0.25, terminations: int = 5) -> Limits:
    return Limits.model_validate({"breaker": {"count": count, "share": share}, "terminations": {"count": terminations}})


def people(count: int) -> list[str]:
    return [f"somebody {at}" for at in range(count)]


def breaker(count: int = 20, share: float = 1) -> Breaker:
    return Breaker(limits(count, share), MemoryTables(), FakeClock())


@pytest.mark.parametrize(("population", "places"), [(0, 1), (1, 1), (7, 1), (8, 2), (40, 10), (80, 20), (100_000, 20)])
def test_a_window_has_the_lesser_of_count_and_share_and_always_one(population: int, places: int) -> None:
    assert most(LEAVER, limits(), population) == places


def test_terminations_have_a_limit_of_their_own() -> None:
    assert most(Direction.TERMINATION, limits(count=1, share=0.01, terminations=5), 3) == 5


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 200), st.integers(1, 200))
def test_no_batch_passes_beyond_the_places_but_a_single_one_in_an_empty_window(
    batch: int, held: int, taken: int, places: int
) -> None:
    if admits(batch, held, taken, places):
        assert batch + taken <= places or (batch == 1 and taken == 0)
    assert admits(1, held, 0, places)


async def test_a_person_takes_one_place_however_often_it_is_asked_for() -> None:
    one = breaker(count=1)
    await one.measure(people(10))
    for _ in range(3):
        await one.take("ann", await one.look(LEAVER))
    with pytest.raises(Held, match="1 of 1"):
        await one.take("ben", await one.look(LEAVER))


async def test_places_come_free_when_the_window_has_passed() -> None:
    one = breaker(count=1)
    await one.measure(people(10))
    await one.take("ann", await one.look(LEAVER))
    assert isinstance(one.clock, FakeClock)
    one.clock.advance(one.limits.breaker.window)
    await one.take("ben", await one.look(LEAVER))
    assert one.within(await one.look(LEAVER)) == {"ben"}


async def test_sessions_that_all_saw_an_empty_row_do_not_all_get_a_place() -> None:
    """Each compares what it read with what is there now: of forty that saw nothing, three pass."""
    one = breaker(count=3)
    await one.measure(people(100))
    seen = await one.look(LEAVER)
    assert seen.taken == ()
    came = await asyncio.gather(*(one.take(f"p{n}", seen) for n in range(40)), return_exceptions=True)
    assert sum(result is None for result in came) == 3
    assert sum(isinstance(result, Held) for result in came) == 37


async def test_directions_are_counted_apart() -> None:
    one = breaker(count=1)
    await one.measure(people(10))
    await one.take("ann", await one.look(LEAVER))
    await one.take("ben", await one.look(Direction.TERMINATION))
    assert one.within(await one.look(LEAVER)) == {"ann"}


async def test_before_the_first_sweep_the_links_say_how_many_there_are() -> None:
    one = breaker(share=0.5)
    for name in ("a", "b", "c", "d"):
        await People(one.store).put(Link(name, frozenset({f"account-{name}"})))
    await People(one.store).put(Link("gone"))
    assert (await one.look(LEAVER)).most == 2


async def test_who_left_within_the_window_still_counts_as_one_of_the_people() -> None:
    """Accounts that are deleted at once must not make the window narrower for those who leave after."""
    one = breaker(share=0.5)
    await one.measure(people(2))
    await one.take("somebody 0", await one.look(LEAVER))
    await one.measure(["somebody 1"])
    assert (await one.look(LEAVER)).most == 1
    await one.measure(["somebody 1", "somebody 2", "somebody 3"])
    assert (await one.look(LEAVER)).most == 2


async def test_of_two_last_administrators_who_leave_at_once_one_stays() -> None:
    one = breaker()
    assert await one.claim({"ann"}, {"ben"})
    assert not await one.claim({"ben"}, {"ann"})
    assert await one.claim({"ann"}, {"ben"})


async def test_an_administrator_may_leave_while_another_stays() -> None:
    one = breaker()
    assert await one.claim({"ann"}, {"ben", "cam"})
    assert await one.claim({"ben"}, {"ann", "cam"})
    assert not await one.claim({"cam"}, {"ann", "ben"})


def test_a_row_that_was_never_written_has_no_places_taken() -> None:
    assert Places(LEAVER).since(FakeClock().now()) == ()
