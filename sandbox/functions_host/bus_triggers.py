"""Service Bus triggers: receive with Microsoft's SDK, invoke, complete on return, abandon on an exception."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusReceivedMessage
from azure.servicebus.aio import AutoLockRenewer, ServiceBusClient, ServiceBusReceiver
from azure.servicebus.exceptions import OperationTimeoutError, ServiceBusError

from sandbox.functions_host.bindings import Function, UnsupportedFunction, required_setting
from sandbox.functions_host.bus_messages import body_of, metadata_of
from sandbox.functions_host.host_json import HostJson
from sandbox.functions_host.worker import InvocationFailed, Worker

ACCEPT_WAIT_S = 30.0
RECONNECT_S = 0.5
DETACH_S = 0.3  # for the links; the SDK would go on to wait for its keep-alive's next turn
MAX_ACCEPTING = 2 * (os.cpu_count() or 1)
logger = logging.getLogger("sandbox.functions_host.servicebus")


class QueueTrigger:
    """One queue and its function: a receiver for each concurrent session, or one where there are none.

    When the host stops, receivers that only wait end at once; invocations that run are let finish.
    """

    def __init__(self, worker: Worker, function: Function, host: HostJson) -> None:
        self._worker = worker
        self._function = function
        self._host = host
        self._queue = str(function.trigger["queueName"])
        self._sessions = bool(function.trigger.get("isSessionsEnabled"))
        self._receivers = host.max_concurrent_sessions if self._sessions else 1
        self._at_once = 1 if self._sessions else host.max_concurrent_calls
        self._idle_s = host.session_idle_s if self._sessions else ACCEPT_WAIT_S
        connection = str(function.trigger.get("connection") or "AzureWebJobsServiceBus")
        self._accepting = asyncio.Semaphore(MAX_ACCEPTING)
        self._client = _client(function.name, connection)
        self._closing: set[asyncio.Task[None]] = set()
        self._connected = True
        self._stopping = False
        self._busy: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        for _ in range(self._receivers):
            self._start_receiver()

    def _start_receiver(self) -> None:
        task = asyncio.create_task(self._receive_forever())
        self._tasks.add(task)
        task.add_done_callback(self._replace)

    def _replace(self, task: asyncio.Task[None]) -> None:
        """A receiver that ends by an unforeseen failure is replaced: capacity must not dwindle."""
        self._tasks.discard(task)
        if task.cancelled() or self._stopping:
            return
        logger.error("queue %s: a receiver ended: %r", self._queue, task.exception())
        asyncio.get_running_loop().call_later(RECONNECT_S, self._start_receiver)

    async def stop(self, grace_s: float) -> None:
        self._stopping = True
        tasks = list(self._tasks)
        for task in set(tasks) - self._busy:
            task.cancel()
        if self._busy:
            await asyncio.wait(self._busy, timeout=grace_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._closing:
            await asyncio.wait(self._closing, timeout=DETACH_S)

    async def _receive_forever(self) -> None:
        while not self._stopping:
            try:
                async with self._receiver() as receiver:
                    self._note(connected=True)
                    await self._drain(receiver)
            except OperationTimeoutError:
                self._note(connected=True)  # no session has messages
            except (ServiceBusError, OSError) as failure:
                self._note(connected=False, reason=f"{type(failure).__name__}: {failure}")
                await asyncio.sleep(RECONNECT_S)

    @asynccontextmanager
    async def _receiver(self) -> AsyncIterator[ServiceBusReceiver]:
        """Opened, lent, given back; the next one need not wait for the second that the SDK takes to close it."""
        receiver = self._client.get_queue_receiver(
            self._queue,
            session_id=NEXT_AVAILABLE_SESSION if self._sessions else None,
            max_wait_time=ACCEPT_WAIT_S,
            prefetch_count=self._host.prefetch,
            auto_lock_renewer=AutoLockRenewer(max_lock_renewal_duration=self._host.lock_renewal_s),
        )
        try:
            async with self._accepting:
                await receiver.__aenter__()
            yield receiver
        finally:
            closing = asyncio.create_task(receiver.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def _drain(self, receiver: ServiceBusReceiver) -> None:
        """Message after message of a session, in order; the session is given back after it has been idle."""
        while not self._stopping:
            messages = await receiver.receive_messages(self._at_once, max_wait_time=self._idle_s)
            if not messages:
                return
            with self._being_busy():
                await asyncio.gather(*(self._run(receiver, message) for message in messages))

    async def _run(self, receiver: ServiceBusReceiver, message: ServiceBusReceivedMessage) -> None:
        protos = self._worker.protos
        inputs = {self._function.argument: body_of(message, protos)}
        try:
            await self._worker.invoke(self._function, inputs, metadata_of(message, protos))
        except InvocationFailed as failure:
            failure.log(logger, self._function)
            await receiver.abandon_message(message)
        else:
            await receiver.complete_message(message)

    @contextmanager
    def _being_busy(self) -> Iterator[None]:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("messages are received in tasks")
        self._busy.add(task)
        try:
            yield
        finally:
            self._busy.discard(task)

    def _note(self, *, connected: bool, reason: str = "") -> None:
        """Says once that the connection is lost, and once that it is back."""
        if connected != self._connected:
            state = "connected again" if connected else f"connection lost, trying again ({reason})"
            logger.warning("queue %s: %s", self._queue, state)
        self._connected = connected


def _client(function: str, connection: str) -> ServiceBusClient:
    try:
        return ServiceBusClient.from_connection_string(required_setting(function, connection), retry_total=0)
    except ValueError as wrong:
        raise UnsupportedFunction(f"function {function}: the setting {connection}: {wrong}") from wrong
