"""Due offboardings become events, each once."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import patch

import pytest

from jml.people import Cause, Leaving
from jml.schedule import State, observe
from jml.state import Schedule
from shared.clock import from_text
from shared.errors import Transient
from tests.fakes.stage import LEFT, Stage
from tests.fakes.wire import Crash

WHO = "alexw"


async def due(stage: Stage) -> None:
    stage.hr(WHO, employeeLeaveDateTime=LEFT)
    await stage.services.sweep.run()


async def test_an_event_is_sent_once_however_often_the_timer_runs(stage: Stage) -> None:
    await due(stage)
    assert [await stage.services.release.run() for _ in range(3)] == [1, 0, 0]
    assert len(stage.messages.sent) == 1


async def test_nothing_is_sent_before_its_day(stage: Stage) -> None:
    stage.hr(WHO, employeeLeaveDateTime="2026-03-02T12:00:00Z")
    assert await stage.notice() == 0
    stage.clock.advance(timedelta(hours=3))
    assert await stage.services.release.run() == 1


async def test_an_event_names_its_session_and_carries_date_and_zone(stage: Stage) -> None:
    await due(stage)
    await stage.services.release.run()
    [message] = stage.messages.sent
    assert message.session == stage.person(WHO)
    assert b'"effective":"2026-03-02T08:45:00.000000Z"' in message.body
    assert b'"zone":"UTC"' in message.body


@pytest.mark.parametrize("boundary", ["before send", "after send", "before replace", "after replace"])
async def test_a_crash_at_any_point_of_a_release_sends_one_event_in_the_end(stage: Stage, boundary: str) -> None:
    """Between sending and the row the same event goes out again: one id, which the broker takes once."""
    await due(stage)
    stage.wire.cut_after({"before send": 0, "after send": 1, "before replace": 2, "after replace": 3}[boundary])
    with pytest.raises(Crash, match=boundary):
        await stage.services.release.run()
    stage.wire.revive()
    await stage.services.release.run()
    assert len({message.id for message in stage.messages.sent}) == 1
    assert len(stage.messages.waiting) == 1
    assert (await stage.scheduled(WHO)).state is State.RELEASED


async def test_a_batch_that_was_not_taken_is_sent_again(stage: Stage) -> None:
    await due(stage)
    with patch.object(stage.messages, "send", side_effect=Transient("the bus is away")), pytest.raises(Transient):
        await stage.services.release.run()
    assert (await stage.scheduled(WHO)).state is State.SCHEDULED
    assert await stage.services.release.run() == 1


async def test_the_whole_batch_is_known_before_any_of_it_is_sent(stage: Stage) -> None:
    for person in stage.world.x_scenario["links"]:
        stage.hr(person, employeeLeaveDateTime=LEFT)
    await stage.services.sweep.run()
    with patch.object(stage.messages, "send", wraps=stage.messages.send) as send:
        assert await stage.services.release.run() == 5
    [call] = send.call_args_list
    assert len(call.args[0]) == 5


async def test_rows_of_every_past_day_are_read(stage: Stage) -> None:
    long_ago = from_text("2019-05-01T00:00:00Z")
    row = observe(None, stage.person(WHO), Leaving(Cause.DATE, long_ago, "2019-05-01T00:00:00Z"), long_ago)
    assert row is not None
    await Schedule(stage.tables).put(row, "")
    assert await stage.services.release.run() == 1


async def test_a_row_that_changed_meanwhile_keeps_its_change(stage: Stage) -> None:
    """HR clears the date between the reading and the release: the event is a hint, the row stays cleared."""
    await due(stage)
    send = stage.messages.send

    async def meanwhile(messages: object) -> None:
        await send(messages)  # type: ignore[arg-type]
        stage.hr(WHO, employeeLeaveDateTime=None)
        await stage.services.sweep.run()

    with patch.object(stage.messages, "send", meanwhile):
        await stage.services.release.run()
    assert (await stage.scheduled(WHO)).state is State.CLEARED
    await stage.work()
    assert (await stage.only_run())["outcome"] == "left alone"
