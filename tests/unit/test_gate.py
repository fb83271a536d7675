"""The sliding window before the quota: never too much, urgent first, nobody forgotten."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.gate import RESERVE, Full, Gate
from tests.fakes.virtual import VirtualClock, in_virtual_time

LIMIT, SECONDS = 50, 10.0
FOREVER = 1e6


def gate(limit: float = LIMIT) -> Gate:
    return Gate(limit, SECONDS, VirtualClock())


def by(one: Gate, seconds: float) -> datetime:
    return one.clock.now() + timedelta(seconds=seconds)


async def pass_through(
    one: Gate, amount: float, *, urgent: bool = False, way: float = 0.0, patience: float = FOREVER
) -> float:
    """Enter, and be answered after `way` seconds; returns when it entered, from the beginning."""
    await one.enter(amount, urgent=urgent, until=by(one, patience))
    entered = asyncio.get_running_loop().time()
    await asyncio.sleep(way)
    one.leave(amount, amount, urgent=urgent)
    return entered


@dataclass(frozen=True)
class Arrival:
    """A request: when it comes, what it costs, how long until it is counted, and from then until it is answered."""

    at: float
    amount: int
    urgent: bool
    way: float
    back: float


ARRIVALS = st.lists(
    st.builds(
        Arrival,
        at=st.floats(0, 30),
        amount=st.integers(1, 20),
        urgent=st.booleans(),
        way=st.floats(0, 3),
        back=st.floats(0, 3),
    ),
    max_size=40,
)


@given(ARRIVALS)
def test_the_other_side_never_counts_more_than_its_limit_and_everybody_gets_through(arrivals: list[Arrival]) -> None:
    """Whatever the order, and however long a request is on its way before it is counted."""
    counted: list[tuple[float, int]] = []

    async def one(subject: Gate, arrival: Arrival) -> None:
        await asyncio.sleep(arrival.at)
        await subject.enter(arrival.amount, urgent=arrival.urgent, until=by(subject, FOREVER))
        await asyncio.sleep(arrival.way)
        counted.append((asyncio.get_running_loop().time(), arrival.amount))
        await asyncio.sleep(arrival.back)
        subject.leave(arrival.amount, arrival.amount, urgent=arrival.urgent)

    async def all_of_them() -> None:
        subject = gate()
        await asyncio.gather(*(one(subject, arrival) for arrival in arrivals))

    in_virtual_time(all_of_them())
    assert len(counted) == len(arrivals)
    for moment, _ in counted:
        assert sum(amount for at, amount in counted if moment - SECONDS < at - 1e-5 and at <= moment) <= LIMIT


def test_what_fits_enters_at_once_and_the_rest_when_it_was_spent_a_window_ago() -> None:
    async def scenario() -> list[float]:
        subject = gate()
        return await asyncio.gather(*(pass_through(subject, 20) for _ in range(5)))

    assert in_virtual_time(scenario()) == pytest.approx([0, 0, 10, 10, 20], abs=0.01)


def test_an_urgent_one_goes_before_all_that_wait() -> None:
    async def scenario() -> tuple[list[float], float]:
        subject = gate()
        waiting = [asyncio.create_task(pass_through(subject, 40)) for _ in range(3)]
        await asyncio.sleep(1)
        urgent = await pass_through(subject, 40, urgent=True)
        return await asyncio.gather(*waiting), urgent

    others, urgent = in_virtual_time(scenario())
    assert urgent == pytest.approx(10, abs=0.01)
    assert others == pytest.approx([0, 20, 30], abs=0.01)


def test_a_reserve_is_kept_for_urgent_ones() -> None:
    async def scenario() -> tuple[float, float]:
        subject = gate(1000)
        await pass_through(subject, 1000 * (1 - RESERVE))
        late = asyncio.create_task(pass_through(subject, 1))
        return await pass_through(subject, 1000 * RESERVE, urgent=True), await late

    urgent, late = in_virtual_time(scenario())
    assert urgent == 0
    assert late == pytest.approx(10, abs=0.01)


def test_a_large_one_is_not_overtaken_by_small_ones() -> None:
    async def scenario() -> tuple[float, float]:
        subject = gate()
        await pass_through(subject, 30)
        large = asyncio.create_task(pass_through(subject, 40))
        await asyncio.sleep(1)
        small = asyncio.create_task(pass_through(subject, 1))
        return await large, await small

    large, small = in_virtual_time(scenario())
    assert large == small == pytest.approx(10, abs=0.01)


def test_what_is_larger_than_the_window_goes_when_the_window_is_empty() -> None:
    async def scenario() -> float:
        subject = gate()
        await pass_through(subject, 10)
        return await pass_through(subject, 5 * LIMIT)

    assert in_virtual_time(scenario()) == pytest.approx(10, abs=0.01)


def test_who_cannot_wait_so_long_is_told_how_long_it_takes() -> None:
    async def scenario() -> float:
        subject = gate()
        await pass_through(subject, 40)
        with pytest.raises(Full) as full:
            await pass_through(subject, 40, patience=9)
        return full.value.seconds

    assert in_virtual_time(scenario()) == pytest.approx(10, abs=0.01)


def test_whoever_gives_up_waiting_holds_up_nobody() -> None:
    async def scenario() -> float:
        subject = gate()
        await pass_through(subject, 40)
        first = asyncio.create_task(pass_through(subject, 40))
        second = asyncio.create_task(pass_through(subject, 40))
        await asyncio.sleep(1)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        return await second

    assert in_virtual_time(scenario()) == pytest.approx(10, abs=0.01)


@pytest.mark.parametrize(("after", "entered"), [(2, [0, 0.5, 1.0]), (12, [0, 0, 0])])
def test_after_a_refusal_those_who_may_wait_go_one_by_one_for_a_window(after: float, entered: list[float]) -> None:
    """Whoever is urgent waits for none of them."""

    async def scenario() -> tuple[list[float], float]:
        subject = gate()
        subject.close(1, urgent=False)
        await asyncio.sleep(after)
        waiting = [asyncio.create_task(pass_through(subject, 1, way=0.5)) for _ in range(3)]
        await asyncio.sleep(0.1)
        urgent = await pass_through(subject, 1, urgent=True)
        return [one - after for one in await asyncio.gather(*waiting)], urgent - after

    others, urgent = in_virtual_time(scenario())
    assert others == pytest.approx(entered, abs=0.1)
    assert urgent == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(("refused", "waits"), [(False, {True: 1, False: 31}), (True, {True: 31, False: 31})])
def test_a_refused_clean_up_does_not_hold_up_containment(refused: bool, waits: dict[bool, float]) -> None:
    async def scenario(kind: bool) -> float:
        subject = gate()
        await asyncio.sleep(1)
        subject.close(30, urgent=refused)
        return await pass_through(subject, 1, urgent=kind)

    assert {kind: in_virtual_time(scenario(kind)) for kind in (True, False)} == pytest.approx(waits, abs=0.01)


def test_what_others_use_is_left_to_them() -> None:
    async def scenario() -> tuple[list[float], float]:
        subject = gate(100)
        await pass_through(subject, 20)
        subject.hear(0.9, 0.8)  # 70 of them are not ours
        ours = await asyncio.gather(*(pass_through(subject, 1) for _ in range(10)))
        return ours, await pass_through(subject, 20, urgent=True)

    ours, urgent = in_virtual_time(scenario())
    assert ours == pytest.approx([0] * 9 + [10], abs=0.01)
    assert urgent == pytest.approx(10, abs=0.01)


def test_silence_says_that_others_use_less_than_was_thought() -> None:
    async def scenario() -> float:
        subject = gate(100)
        subject.hear(0.98, 0.8)
        subject.hear(None, 0.8)
        return await pass_through(subject, 18)

    assert in_virtual_time(scenario()) == 0


def test_what_a_request_did_not_use_is_free_again() -> None:
    async def scenario() -> float:
        subject = gate()
        await subject.enter(40, urgent=False, until=by(subject, 0))
        subject.leave(40, 5, urgent=False)
        return await pass_through(subject, 40)

    assert in_virtual_time(scenario()) == 0
