"""The host itself: one app, its triggers, one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

from aiohttp import web

from sandbox.functions_host.bindings import Function
from sandbox.functions_host.bus_triggers import QueueTrigger
from sandbox.functions_host.host_json import read_host_json
from sandbox.functions_host.http_triggers import BODY_LIMIT, HttpTriggers
from sandbox.functions_host.timers import Timer, TimerStatus
from sandbox.functions_host.worker import InvocationFailed, Worker
from sandbox.serving import LOOPBACK, bind, port_of, serve

GRACE_S = 10.0
logger = logging.getLogger("sandbox.functions_host")


class Host:
    def __init__(self, app: Path, port: int, timer_status: Path | None) -> None:
        self._settings = read_host_json(app)
        self._worker = Worker(app)
        self._listener = bind(port)
        self._timer_status = TimerStatus(timer_status)
        self._timers: dict[str, Timer] = {}
        self._queues: list[QueueTrigger] = []
        self._schedules: list[asyncio.Task[None]] = []
        self._runner: web.AppRunner | None = None
        self.functions: list[Function] = []

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{port_of(self._listener)}"

    async def start(self) -> None:
        """Everything that can be wrong with app, settings and host.json shows here, before anything runs."""
        self.functions = await self._worker.start()
        enabled = [one for one in self.functions if not one.disabled]
        http = HttpTriggers(self._worker, self.functions, self._settings.route_prefix)
        timers = [one for one in self.functions if one.kind == "timerTrigger"]
        self._timers = {one.name: Timer(self._worker, one, self._timer_status) for one in timers}
        queues = [one for one in enabled if one.kind == "serviceBusTrigger"]
        self._queues = [QueueTrigger(self._worker, one, self._settings) for one in queues]
        self._runner = await serve(self._application(http), self._listener)
        for queue in self._queues:
            queue.start()
        self._schedules = [
            asyncio.create_task(timer.run_by_schedule())
            for timer in self._timers.values()
            if not timer.function.disabled
        ]

    async def stop(self) -> None:
        timers = [timer.finish(GRACE_S) for timer in self._timers.values()]
        queues = [queue.stop(GRACE_S) for queue in self._queues]
        await asyncio.gather(*timers, *queues)
        for schedule in self._schedules:
            schedule.cancel()
        await asyncio.gather(*self._schedules, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
        with contextlib.suppress(OSError):
            self._listener.close()

    def _application(self, http: HttpTriggers) -> web.Application:
        app = web.Application(client_max_size=BODY_LIMIT)
        app.router.add_post("/admin/functions/{name}", self._run_timer)
        app.router.add_route("*", "/{path:.*}", http.answer)
        return app

    async def _run_timer(self, request: web.Request) -> web.Response:
        """Unlike the real host, which answers 202 at once, this answers when the timer has ended."""
        name = request.match_info["name"]
        timer = self._timers.get(name)
        if timer is None:
            known = ", ".join(sorted(self._timers)) or "none"
            return web.json_response({"error": f"no timer function {name}; there are: {known}"}, status=404)
        try:
            await timer.run()
        except InvocationFailed as failure:
            failure.log(logger, timer.function)
            return web.json_response({"error": str(failure)}, status=500)
        return web.json_response({"function": name, "status": "succeeded"})
