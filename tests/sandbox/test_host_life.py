"""The Functions host starts, refuses to start, is stopped, is killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
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
        await asyncio.sleep(1)
        await host.process.start()
        assert host.process.url == address
        await until(lambda: bool(host.rows("message-end")))
        assert len(host.rows("message")) == 2
        assert host.rows("tick")[ticks]["past_due"] is True


async def test_a_stopped_host_finishes_the_message_it_works_on(tmp_path: Path) -> None:
    async with sample_host(tmp_path) as host:
        await host.send("lifecycle", WORK)
        await until(lambda: bool(host.rows("message")))
        await host.process.stop()
        assert len(host.rows("message-end")) == 1
        assert host.broker.counts()["lifecycle"] == {"active": 0, "scheduled": 0, "deadLettered": 0}


async def test_a_disabled_function_has_no_trigger_but_runs_on_demand(tmp_path: Path) -> None:
    changes = {"AzureWebJobs.tick.Disabled": "true", "AzureWebJobs.thing.Disabled": "true"}
    async with sample_host(tmp_path, SAMPLE_SCHEDULE="*/1 * * * * *", **changes) as host:
        await asyncio.sleep(1.1)
        assert host.rows("tick") == []
        assert (await host.request("GET", "/api/things/1"))[0] == 404
        assert (await host.request("POST", "/admin/functions/tick", json={}))[0] == 200
        assert len(host.rows("tick")) == 1


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"SAMPLE_BROKEN": "1"}, "SAMPLE_BROKEN is set: the sample refuses to start"),
        ({"JML_SERVICEBUS": ""}, "function on_message: the setting JML_SERVICEBUS is missing"),
    ],
    ids=["app", "connection"],
)
async def test_what_keeps_an_app_from_starting_is_said_in_its_own_words(
    tmp_path: Path, changes: dict[str, str], text: str
) -> None:
    given = settings(tmp_path, Broker(QUEUES)) | changes
    given = {name: value for name, value in given.items() if value}
    with (tmp_path / "log").open("w+b") as log:
        process = FunctionsProcess("sample", APP, given, tmp_path, log)
        with pytest.raises(HostFailed, match="ended with status 1"):
            await process.start()
        log.seek(0)
        assert text in log.read().decode()


async def test_a_host_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    given = settings(tmp_path, Broker(QUEUES))
    script = (
        "import asyncio, json, sys\n"
        "from pathlib import Path\n"
        "from sandbox.functions_process import FunctionsProcess\n"
        "async def main():\n"
        "    app, given, directory = sys.argv[1:]\n"
        "    process = FunctionsProcess('sample', Path(app), json.loads(given), Path(directory))\n"
        "    await process.start()\n"
        "    print(process.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(APP), json.dumps(given), str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    os.kill(child, 0)
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    await until(lambda: not Path(f"/proc/{child}").exists())
