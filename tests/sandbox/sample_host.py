"""The sample app in a Functions process of its own, with a broker, and the journal of what its functions saw."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusSender

from sandbox.functions_process import FunctionsProcess
from sandbox.servicebus import Broker, QueueSpec

APP = Path(__file__).parent / "sample_app"
NEVER = "0 0 0 1 1 *"
QUEUES = {"lifecycle": QueueSpec(sessions=True, max_delivery=3), "rejected": QueueSpec(max_delivery=3)}
Row = dict[str, Any]


@dataclass
class SampleHost:
    process: FunctionsProcess
    broker: Broker
    http: ClientSession
    client: ServiceBusClient
    journal: Path
    senders: dict[str, ServiceBusSender] = field(default_factory=dict)

    async def cut_connections(self) -> None:
        """The host's, not the test's own: the SDK leaves a cut one unclosed."""
        for sender in self.senders.values():
            await sender.close()
        self.senders.clear()
        self.broker.drop_connections()

    async def send(self, queue: str, *messages: ServiceBusMessage) -> None:
        sender = self.senders.get(queue) or self.client.get_queue_sender(queue)
        self.senders[queue] = sender
        for message in messages:
            await sender.send_messages(message)

    def rows(self, kind: str) -> list[Row]:
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        return [row for row in map(json.loads, lines) if row["kind"] == kind]

    async def request(self, method: str, path: str, **options: Any) -> tuple[int, str, Mapping[str, str]]:
        async with self.http.request(method, self.process.url + path, **options) as reply:
            return reply.status, await reply.text(), reply.headers


async def until(condition: Callable[[], bool], seconds: float = 8.0) -> None:
    """Waits for what happens in another process; a test that waits too long fails here."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.02)


def settings(directory: Path, broker: Broker, **changes: str) -> dict[str, str]:
    return {
        "SAMPLE_JOURNAL": str(directory / "journal.jsonl"),
        "SAMPLE_SCHEDULE": NEVER,
        "SAMPLE_QUEUE": "lifecycle",
        "JML_SERVICEBUS": broker.connection_string,
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "100000",
        "AzureWebJobs.disabled.Disabled": "true",
        "AzureWebJobs.slow_tick.Disabled": "1",
    } | changes


@asynccontextmanager
async def sample_host(directory: Path, **changes: str) -> AsyncIterator[SampleHost]:
    broker = Broker(QUEUES)
    broker.start()
    bus = broker.connection_string
    given = settings(directory, broker, **changes)
    process = FunctionsProcess("sample", APP, given, directory)
    try:
        await process.start()
        async with ClientSession() as http, ServiceBusClient.from_connection_string(bus) as client:
            yield SampleHost(process, broker, http, client, Path(given["SAMPLE_JOURNAL"]))
    finally:
        await process.stop()
        broker.stop()
