"""One process within one tenant's quotas: what it sends, and what it learns from the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.pacer import Pacer
from shared.ports import Call, Reply
from shared.quota import Quota, is_write
from tests.fakes.virtual import VirtualClock, in_virtual_time

QUOTA = Quota(writes=100, write_seconds=150, units=(100, 200, 400), unit_seconds=10)
READ = Call("GET", "/groups")
WRITE = Call("DELETE", "/groups/1/members/2/$ref")


class Stage:
    """A pacer, and a Graph that takes a moment and answers with `reply`; `sent` has the time of each call."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.pacer = Pacer(self.clock, QUOTA)
        self.reply = Reply(200)
        self.sent: list[tuple[float, Call]] = []

    async def send(self, *calls: Call, urgent: bool = False, patience: float = 1e6) -> list[Reply]:
        async def request() -> list[Reply]:
            self.sent += [(asyncio.get_running_loop().time(), call) for call in calls]
            await asyncio.sleep(0.1)
            return [self.reply] * len(calls)

        until = self.clock.now() + timedelta(seconds=patience)
        return await self.pacer.send(calls, request, urgent=urgent, until=until)

    def times(self, *, writes: bool) -> list[float]:
        return [at for at, call in self.sent if is_write(call) is writes]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_each_part_of_a_batch_counts(stage: Stage) -> None:
    async def scenario() -> None:
        for _ in range(6):
            await stage.send(*[WRITE] * 20)

    in_virtual_time(scenario())
    times = stage.times(writes=True)
    assert [round(times[at]) for at in range(0, 120, 20)] == [0, 0, 0, 0, 150, 150]


def test_whoever_reads_does_not_stand_behind_who_waits_to_write(stage: Stage) -> None:
    async def scenario() -> None:
        await stage.send(*[WRITE] * 90)
        await asyncio.sleep(10)
        waiting = asyncio.create_task(stage.send(*[WRITE] * 20))
        await asyncio.sleep(1)
        await stage.send(READ)
        await waiting

    in_virtual_time(scenario())
    assert stage.times(writes=False)[0] < 12
    assert stage.times(writes=True)[-1] > 150


def test_what_would_wait_too_long_is_answered_with_429_and_the_time_and_is_not_sent(stage: Stage) -> None:
    async def scenario() -> list[Reply]:
        await stage.send(*[WRITE] * 90)
        await asyncio.sleep(50)
        return await stage.send(*[WRITE] * 20, patience=30)

    replies = in_virtual_time(scenario())
    assert len(stage.sent) == 90
    assert {(reply.status, reply.code) for reply in replies} == {(429, "QuotaUsed")}
    assert replies[0].retry_after == pytest.approx(100, abs=0.2)


def test_a_tenant_is_taken_for_small_until_it_answers_more(stage: Stage) -> None:
    """Nothing said at nine tenths of what a small tenant may use: it is not a small one."""

    async def scenario() -> list[float]:
        limits = []
        for _ in range(200):
            await stage.send(READ)
            limits.append(stage.pacer.units.limit)
        return limits

    limits = in_virtual_time(scenario())
    assert limits[85] == 100
    assert max(limits) == 200  # ten answers a second never come near to more


def test_a_share_that_is_told_keeps_the_quota_as_it_is(stage: Stage) -> None:
    async def scenario() -> None:
        for at in range(98):
            stage.reply = Reply(200, share=(at + 1) / 100 if at >= 79 else None)
            await stage.send(READ)

    in_virtual_time(scenario())
    assert stage.pacer.units.limit == 100


def test_a_refused_reading_makes_the_tenant_smaller_for_good(stage: Stage) -> None:
    async def scenario() -> None:
        for _ in range(100):
            await stage.send(READ)
        stage.reply = Reply(429, retry_after=2, share=1.0)
        await stage.send(READ)
        stage.reply = Reply(200)
        for _ in range(100):
            await stage.send(READ)

    in_virtual_time(scenario())
    assert stage.pacer.units.limit == 100


@pytest.mark.parametrize(("retry_after", "waits"), [(40.0, 40), (0.0, 10), (9e9, 150)])
def test_a_429_stops_what_is_like_it(stage: Stage, retry_after: float, waits: float) -> None:
    """For as long as it says, at most a window, or for a moment if it says nothing."""

    async def scenario() -> None:
        stage.reply = Reply(429, retry_after=retry_after, share=1.0)
        await stage.send(WRITE)
        stage.reply = Reply(200)
        await stage.send(READ)
        await stage.send(WRITE, urgent=True)
        await stage.send(WRITE)

    in_virtual_time(scenario())
    assert stage.times(writes=False)[0] < 1
    assert stage.times(writes=True)[1] < 1
    assert stage.times(writes=True)[2] == pytest.approx(waits, abs=0.5)


@pytest.mark.parametrize(("size", "waits"), [(1, False), (2, True)])
def test_a_429_that_tells_no_share_stops_others_only_if_nothing_got_through(
    stage: Stage, size: int, waits: bool
) -> None:
    """One call alone may have met the limit of its own service."""

    async def scenario() -> None:
        stage.reply = Reply(429, retry_after=40)
        await stage.send(*[WRITE] * size)
        stage.reply = Reply(200)
        await stage.send(WRITE)

    in_virtual_time(scenario())
    assert (stage.times(writes=True)[-1] > 30) is waits


def test_another_process_is_noticed_by_the_share(stage: Stage) -> None:
    """Half of the window is ours, all of it is used: nothing more leaves but containment."""

    async def scenario() -> float:
        stage.reply = Reply(200, share=1.0)
        await stage.send(*[WRITE] * 50)
        began = asyncio.get_running_loop().time()
        await stage.send(WRITE, urgent=True)
        assert asyncio.get_running_loop().time() - began < 1
        await stage.send(WRITE)
        return asyncio.get_running_loop().time() - began

    assert in_virtual_time(scenario()) > 100


def test_our_own_use_is_not_taken_for_anothers(stage: Stage) -> None:
    async def scenario() -> float:
        for at in range(90):
            stage.reply = Reply(200, share=(at + 1) / 100 if at >= 79 else None)
            await stage.send(WRITE)
        began = asyncio.get_running_loop().time()
        await stage.send(*[WRITE] * 8)
        return asyncio.get_running_loop().time() - began

    assert in_virtual_time(scenario()) < 1


def test_a_share_that_our_readings_explain_is_not_counted_as_writes(stage: Stage) -> None:
    async def scenario() -> float:
        for _ in range(85):
            await stage.send(READ)
        stage.reply = Reply(200, share=0.86)
        await stage.send(WRITE)
        began = asyncio.get_running_loop().time()
        await stage.send(*[WRITE] * 5)
        return asyncio.get_running_loop().time() - began

    assert in_virtual_time(scenario()) < 1


def test_a_share_that_readings_are_told_too_is_not_counted_as_writes(stage: Stage) -> None:
    """Another process reads much: that is over in ten seconds, and writes need not wait for two minutes."""

    async def scenario() -> float:
        stage.reply = Reply(200, share=0.9)
        await stage.send(READ)
        await stage.send(WRITE)
        await asyncio.sleep(11)
        stage.reply = Reply(200)
        began = asyncio.get_running_loop().time()
        await stage.send(*[WRITE] * 40)
        return asyncio.get_running_loop().time() - began

    assert in_virtual_time(scenario()) < 1


def test_an_answer_that_never_comes_counts_as_sent(stage: Stage) -> None:
    async def cut(calls: Sequence[Call]) -> None:
        async def request() -> list[Reply]:
            raise ConnectionError

        with pytest.raises(ConnectionError):
            await stage.pacer.send(calls, request, urgent=False, until=stage.clock.now())

    async def scenario() -> float:
        await cut([WRITE] * 90)
        return stage.pacer.writes.answered

    assert in_virtual_time(scenario()) == 90


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 20), st.booleans(), st.floats(0, 60)), max_size=25))
def test_neither_quota_is_ever_exceeded(requests: list[tuple[bool, int, bool, float]]) -> None:
    stage = Stage()
    stage.reply = Reply(200, share=0.0)

    async def one(writing: bool, size: int, urgent: bool, at: float) -> None:
        await asyncio.sleep(at)
        await stage.send(*[WRITE if writing else READ] * size, urgent=urgent)

    async def scenario() -> None:
        await asyncio.gather(*(one(*request) for request in requests))

    in_virtual_time(scenario())
    writes, everything = stage.times(writes=True), [at for at, _ in stage.sent]
    assert len(everything) == sum(size for _, size, _, _ in requests)
    assert all(sum(end - 150 < at - 1e-5 and at <= end for at in writes) <= 100 for end in writes)
    assert all(sum(end - 10 < at - 1e-5 and at <= end for at in everything) <= 100 for end in everything)
