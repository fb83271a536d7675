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
from azure.servicebus.aio import ServiceBusClient

from sandbox.functions_process import FunctionsProcess, HostFailed
from sandbox.servicebus import Broker
from tests.sandbox.sample_host import APP, QUEUES, SampleHost, sample_host, settings, until


async def send(host: SampleHost, body: str) -> None:
    async with (
        ServiceBusClient.from_connection_string(host.broker.connection_string) as client,
        client.get_queue_sender("sessions") as sender,
    ):
        await sender.send_messages(ServiceBusMessage(body, session_id="s", message_id=body))


async def test_a_killed_host_starts_again_at_its_address_and_the_message_comes_back(tmp_path: Path) -> None:
    async with sample_host(tmp_path) as host:
        address = host.process.url
        await send(host, "work")
        await until(lambda: bool(host.rows("message")))
        await host.process.kill()
        assert not host.process.running
        await host.process.start()
        assert host.process.url == address
        await until(lambda: bool(host.rows("message-end")))
        assert len(host.rows("message")) == 2


async def test_a_stopped_host_finishes_the_message_it_works_on(tmp_path: Path) -> None:
    async with sample_host(tmp_path) as host:
        await send(host, "work")
        await until(lambda: bool(host.rows("message")))
        await host.process.stop()
        assert len(host.rows("message-end")) == 1
        assert host.broker.counts()["sessions"] == {"active": 0, "scheduled": 0, "deadLettered": 0}


async def test_an_occurrence_missed_while_down_runs_at_once_and_past_due(tmp_path: Path) -> None:
    async with sample_host(tmp_path, SAMPLE_SCHEDULE="*/1 * * * * *") as host:
        await until(lambda: bool(host.rows("tick")))
        await host.process.kill()
        host.journal.unlink()
        await asyncio.sleep(1.1)
        await host.process.start()
        await until(lambda: bool(host.rows("tick")))
        assert host.rows("tick")[0]["past_due"] is True


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
        ({"SAMPLE_QUEUE": ""}, "function on_message: the setting SAMPLE_QUEUE is missing"),
        ({"SAMPLE_BUS": ""}, "function on_message: the setting SAMPLE_BUS is missing"),
        ({"SAMPLE_SCHEDULE": "every day"}, "function tick: the timer expression 'every day' is not valid"),
    ],
    ids=["app", "binding", "connection", "schedule"],
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
