"""The process of one deployment's Functions host: started, killed, started again on the same address."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from sandbox.leash import leashed

ROOT = Path(__file__).parent.parent
START_S = 60.0
STOP_S = 15.0
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "COVERAGE_PROCESS_CONFIG")


class HostFailed(Exception):
    """The Functions process did not start; what it said is in its log."""


class FunctionsProcess:
    """Only settings that are given, and a few of the system's, reach the app: it must not see the developer's."""

    def __init__(
        self, name: str, app: Path, settings: Mapping[str, str], directory: Path, log: IO[bytes] | None = None
    ) -> None:
        self.name = name
        self._app = app
        self._settings = dict(settings)
        self._timer_status = directory / f"timers-{name}.json"
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._watch: asyncio.Task[None] | None = None
        self._port = 0
        self.url = ""

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """Raises HostFailed where there is no process."""
        if self._process is None or self._process.returncode is not None:
            raise HostFailed(f"the Functions process of {self.name} is not running")
        return self._process.pid

    async def start(self) -> None:
        system = {name: os.environ[name] for name in INHERITED if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            *leashed(sys.executable, "-m", "sandbox.functions_host", *self._arguments()),
            cwd=ROOT,
            env=system | self._settings,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,  # a terminal's Ctrl-C is the supervisor's, which stops its children in order
        )
        self._process = process
        self._stopping = False
        ready = await self._ready_line(process)
        if not ready:
            status = await process.wait()
            raise HostFailed(f"the Functions process of {self.name} ended with status {status}")
        self.url = json.loads(ready)["url"]
        self._port = int(self.url.rpartition(":")[2])
        self._watch = asyncio.create_task(self._tell_when_it_ends(process))

    async def kill(self) -> None:
        """SIGKILL: nothing in it gets a chance to tidy up."""
        if self._process is not None and self._process.returncode is None:
            self._stopping = True
            self._process.kill()
            await self._process.wait()

    async def stop(self) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        self._stopping = True
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_S)
        except TimeoutError:
            await self.kill()

    async def _tell_when_it_ends(self, process: asyncio.subprocess.Process) -> None:
        status = await process.wait()
        if not self._stopping:
            sys.stderr.write(f"sandbox: the Functions process of {self.name} ended with status {status}\n")

    async def _ready_line(self, process: asyncio.subprocess.Process) -> bytes:
        if process.stdout is None:
            return b""
        try:
            return await asyncio.wait_for(process.stdout.readline(), START_S)
        except TimeoutError as late:
            await self.kill()
            raise HostFailed(f"the Functions process of {self.name} was not ready in {START_S:.0f} s") from late

    def _arguments(self) -> list[str]:
        status = ["--timer-status", str(self._timer_status)]
        return ["--app", str(self._app), "--port", str(self._port), *status]
