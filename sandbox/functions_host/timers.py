"""Timer triggers: each runs by its schedule, or now on demand, and never beside itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.functions_host.bindings import Function
from sandbox.functions_host.schedule import Schedule
from sandbox.functions_host.worker import InvocationFailed, Worker

logger = logging.getLogger("sandbox.functions_host.timers")


class TimerStatus:
    """When each timer ran last and is due next.

    Kept in a file (in Azure: a blob), so that a restart knows what it missed.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._rows: dict[str, dict[str, str]] = {}
        if path is not None and path.exists():
            self._rows = json.loads(path.read_text())

    def of(self, function: str) -> dict[str, str] | None:
        return self._rows.get(function)

    def next_due(self, function: str) -> datetime | None:
        row = self._rows.get(function)
        return datetime.fromisoformat(row["Next"]) if row else None

    def set(self, function: str, last: datetime, due: datetime) -> None:
        now = datetime.now(UTC).isoformat()
        self._rows[function] = {"Last": last.isoformat(), "LastUpdated": now, "Next": due.isoformat()}
        if self._path is not None:  # whole or not at all: the process may be killed here
            draft = self._path.with_suffix(".draft")
            draft.write_text(json.dumps(self._rows))
            draft.replace(self._path)


class Timer:
    def __init__(self, worker: Worker, function: Function, status: TimerStatus) -> None:
        self.function = function
        self._schedule = Schedule(function.name, str(function.trigger["schedule"]))
        self._worker = worker
        self._status = status
        self._alone = asyncio.Lock()

    async def run_by_schedule(self) -> None:
        """Runs it for ever.

        An occurrence that was missed while the host was down runs at once, as past due; one that passes while
        the timer runs is left out.
        """
        missed = self._status.next_due(self.function.name)
        past_due = missed is not None and missed <= datetime.now(UTC)
        if past_due or self.function.trigger.get("runOnStartup"):
            await self._run_logged(past_due=past_due)
        while True:
            now = datetime.now(UTC)
            due = self._schedule.next_after(now)
            await asyncio.sleep((due - now).total_seconds())
            await self._run_logged(past_due=False)

    async def run(self, *, past_due: bool = False) -> None:
        """Runs it now and to its end; raises `InvocationFailed` with what the function raised."""
        async with self._alone:
            started = datetime.now(UTC)
            try:
                message = self._message(past_due=past_due)
                await self._worker.invoke(self.function, {self.function.argument: message})
            finally:
                due = self._schedule.next_after(datetime.now(UTC))
                self._status.set(self.function.name, started, due)

    async def finish(self, grace_s: float) -> None:
        """Waits for the run that is under way, if there is one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s), self._alone:
                pass

    async def _run_logged(self, *, past_due: bool) -> None:
        try:
            await self.run(past_due=past_due)
        except InvocationFailed as failure:
            failure.log(logger, self.function)

    def _message(self, *, past_due: bool) -> Any:
        info = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": self._status.of(self.function.name),
            "IsPastDue": past_due,
        }
        return self._worker.protos.TypedData(json=json.dumps(info))
