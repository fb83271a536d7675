from __future__ import annotations

import asyncio
import base64
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any, TypeVar

from sandbox.servicebus import wire
from sandbox.servicebus.connection import Connection
from sandbox.servicebus.message import Message, State
from sandbox.servicebus.node import Node
from sandbox.servicebus.queue import build_queues
from sandbox.servicebus.spec import QueueSpec
from sandbox.servicebus.tokens import SharedKey

KEY_NAME = "RootManageSharedAccessKey"
T = TypeVar("T")


class Broker:
    """A namespace of queues on a loopback port, run by a thread of its own.

    Queues outlive `stop()`: a broker started again serves the messages it had.
    """

    def __init__(self, queues: Mapping[str, QueueSpec], host: str = "127.0.0.1", port: int = 0) -> None:
        self.host, self.port = host, port
        self._key = SharedKey(KEY_NAME, base64.b64encode(secrets.token_bytes(32)).decode())
        self._nodes = {name: Node(queue) for name, queue in build_queues(queues).items()}
        self._names = list(queues)
        self._connections: set[Connection] = set()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._gate = threading.Lock()  # nobody is asked while it stops

    # -- life

    def start(self) -> None:
        """Returns once it listens; raises what kept it from listening."""
        started: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="servicebus", daemon=True)
        self._thread.start()
        self.port = started.result()

    def stop(self) -> None:
        with self._gate:
            if self._thread is None or self._loop is None or self._stopping is None:
                return
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
            self._thread = self._loop = None

    @property
    def connection_string(self) -> str:
        return (
            f"Endpoint=sb://{self.host}:{self.port};SharedAccessKeyName={self._key.name};"
            f"SharedAccessKey={self._key.value};UseDevelopmentEmulator=true;"
        )

    def _run(self, started: Future[int]) -> None:
        asyncio.run(self._serve(started))

    async def _serve(self, started: Future[int]) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        try:
            server = await self._loop.create_server(self._connect, self.host, self.port)
        except OSError as error:
            started.set_exception(error)
            return
        started.set_result(server.sockets[0].getsockname()[1])
        self._turn()
        await self._stopping.wait()
        server.close()
        self._cut_all()
        await asyncio.sleep(0)  # lets the connections take notice
        if self._timer is not None:
            self._timer.cancel()

    def _connect(self) -> Connection:
        return Connection(self._nodes, self._key, time.time, self._turn, self._connections)

    def _turn(self) -> None:
        """After every event: what the queues can do now, then every client's bytes, then the next alarm."""
        now = time.time()
        for node in self._nodes.values():
            node.turn(now)
        for connection in list(self._connections):
            connection.flush()
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadlines = [moment for node in self._nodes.values() if (moment := node.next_deadline()) is not None]
        if deadlines and self._loop is not None:
            self._timer = self._loop.call_later(max(0.0, min(deadlines) - time.time()), self._turn)

    def _cut_all(self) -> None:
        for connection in list(self._connections):
            connection.cut()

    # -- for the supervisor, from any thread

    def drop_connections(self) -> None:
        """Cut every connection without an AMQP close."""
        self._ask(self._cut_all)

    def counts(self) -> dict[str, dict[str, int]]:
        return self._ask(lambda: {name: self._counted(name) for name in self._names})

    def _counted(self, name: str) -> dict[str, int]:
        return self._nodes[name.lower()].queue.counts()

    def peek(self, name: str) -> list[dict[str, Any]]:
        """Every message of a queue or of its dead letters (`name/$deadletterqueue`); KeyError if unknown."""
        queue = self._nodes[name.lower()].queue
        return self._ask(lambda: [described(message) for message in queue.peek(0, None)])

    def _ask(self, question: Callable[[], T]) -> T:
        """Queues belong to the broker's thread: others ask it, or read directly while it is not running."""
        with self._gate:
            if self._loop is None:
                return question()
            return asyncio.run_coroutine_threadsafe(_answer(question), self._loop).result()


async def _answer(question: Callable[[], T]) -> T:
    return question()


def described(message: Message) -> dict[str, Any]:
    content = message.content
    due = content.due_at if message.state is State.SCHEDULED else None
    return {
        "messageId": content.message_id,
        "sessionId": content.session_id,
        "sequenceNumber": message.sequence,
        "enqueuedTime": _iso(message.enqueued_at),
        "scheduledEnqueueTime": None if due is None else _iso(due),
        "deliveryCount": message.deliveries,
        "state": "locked" if message.lock is not None else message.state.name.lower(),
        "applicationProperties": {
            str(key): value if isinstance(value, bool | int | float) else str(value)
            for key, value in wire.application_properties(message).items()
        },
        "body": _body(wire.body(message)),
    }


def _body(value: Any) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")
