"""The Functions host starts, refuses to start, is stopped, is killed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusMessage

from sandbox.functions_process import FunctionsProcess, HostFailed
from sandbox.servicebus import Broker
from tests.sandbox.sample_host import APP, QUEUES, sample_host, settings, until

WORK = ServiceBusMessage("work", session_id="person", message_id="work")


async def test_a_killed_host_starts_again_at_its_address_with_its_message_and_its_missed_timer(
    tmp_path: Path,
) -> None:
    async with sample_host(tmp_path, SAMPLE_SCHEDULE="*/1 * * * * *") as host:
        address = host.process.url
        await host.send("lifecycle", WORK)
        await until(lambda: bool(host.rows("message") and host.rows("tick")))
        await host.process.kill()
        assert not host.process.running
        assert host.rows("message-end") == []
        ticks = len(host.rows("tick"))
        await asyncio.sleep(0.6)
        await host.process.start()
        assert host.process.url == address
        await until(lambda: bool(host.rows("message-end")))
        assert len(host.rows("message")) == 2
        assert host.rows("tick")[ticks]["past_due"] is True


async def test_a_stopped_host_finishes_the_message_and_the_timer_it_works_on(tmp_path: Path) -> None:
    async with sample_host(tmp_path) as host:
        await host.send("lifecycle", WORK)
        await until(lambda: bool(host.rows("message")))
        timer = asyncio.create_task(host.request("POST", "/admin/functions/slow_tick", json={}))
        await until(lambda: bool(host.rows("slow")))
        await host.process.stop()
        assert len(host.rows("message-end")) == 1
        assert [row["at"] for row in host.rows("slow")] == ["start", "end"]
        assert (await timer)[0] == 200
        assert host.broker.counts()["lifecycle"] == {"active": 0, "scheduled": 0, "deadLettered": 0}


async def test_what_keeps_an_app_from_starting_is_said_in_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "connection").mkdir()
    app, connection = await asyncio.gather(
        refusal(tmp_path / "app", SAMPLE_BROKEN="1"),
        refusal(tmp_path / "connection", JML_SERVICEBUS="Endpoint=nowhere"),
    )
    assert "ValueError: SAMPLE_BROKEN is set: the sample refuses to start" in app
    assert "function on_message: the setting JML_SERVICEBUS: Invalid Endpoint" in connection


async def refusal(directory: Path, **changes: str) -> str:
    """What a host that must not start says on standard error."""
    with (directory / "log").open("w+b") as log:
        given = settings(directory, Broker(QUEUES), **changes)
        process = FunctionsProcess("sample", APP, given, directory, log)
        with pytest.raises(HostFailed, match="ended with status 1"):
            await process.start()
        log.seek(0)
        return log.read().decode()
