"""A local cloud on a thread of its own, so that the tests are plain functions and nothing in them blocks it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar

from sandbox.local_cloud import LocalCloud
from sandbox.world import World

T = TypeVar("T")
ON_DEMAND = {
    "AzureWebJobs.sweep_leave_dates.Disabled": "true",
    "AzureWebJobs.release_due.Disabled": "true",
    "AzureWebJobs.write_checkpoints.Disabled": "true",
    "AzureFunctionsJobHost__extensions__serviceBus__sessionIdleTimeout": "00:00:00.5",
}
"""Timers run when a test says so; an empty session is given back at once, for there are more than receivers."""


class Running:
    """`with Running(world, directory, policy) as running`: everything is up inside, and gone after."""

    def __init__(self, world: World, directory: Path, policy: Path) -> None:
        self.directory = directory
        self.log = directory / "functions.log"
        self.record = directory / "traffic.jsonl"
        self._world = world
        self._policy = policy
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="local cloud", daemon=True)
        self._log: IO[bytes] | None = None
        self.cloud: LocalCloud

    def __enter__(self) -> Self:
        self._log = self.log.open("ab")
        self._thread.start()
        cloud = LocalCloud(self._world, record=self.record, policy=self._policy, settings=ON_DEMAND, log=self._log)
        try:
            self.cloud = self.run(cloud.__aenter__())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.run(self.cloud.__aexit__(kind, error, trace))
        finally:
            self._end()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something on the cloud's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=120)

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._log is not None:
            self._log.close()
