"""Triggers of the lifecycle: bytes in, one service call, a reply out. They decide nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import azure.functions as func

from jml.reports import BadQuery
from jml.services import Services
from shared.authorisation import READERS, Forbidden, Unauthenticated
from shared.errors import Transient
from shared.problems import answer, problem, problem_of


def timers(services: Services) -> func.Blueprint:
    """The sweep, and the release of what is due."""
    blueprint = func.Blueprint()

    @blueprint.timer_trigger(arg_name="timer", schedule="%JML_SWEEP_SCHEDULE%")
    async def sweep_leave_dates(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the host passes it by name
        await services.sweep.run()

    @blueprint.timer_trigger(arg_name="timer", schedule="%JML_RELEASE_SCHEDULE%")
    async def release_due(timer: func.TimerRequest) -> None:  # noqa: ARG001
        await services.release.run()

    return blueprint


def events(services: Services) -> func.Blueprint:
    """The lifecycle queue: one session, one message at a time."""
    blueprint = func.Blueprint()

    @blueprint.service_bus_queue_trigger(
        arg_name="message", queue_name="lifecycle", connection="JML_SERVICEBUS", is_sessions_enabled=True
    )
    async def run_lifecycle_event(message: func.ServiceBusMessage) -> None:
        await services.lifecycle.receive(message.get_body(), message.message_id or "")

    return blueprint


def reports(services: Services) -> func.Blueprint:
    """Health for probes; runs and evidence for those who may read them."""
    blueprint = func.Blueprint()

    @blueprint.route(route="health", methods=["GET"])
    async def health(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001
        return answer({"status": "alive"})

    @blueprint.route(route="runs", methods=["GET"])
    async def runs(req: func.HttpRequest) -> func.HttpResponse:
        return await _read(services, req, lambda: services.reports.runs(req.params))

    @blueprint.route(route="runs/{id}", methods=["GET"])
    async def run(req: func.HttpRequest) -> func.HttpResponse:
        return await _read(services, req, lambda: services.reports.run(req.route_params["id"]))

    @blueprint.route(route="runs/{id}/evidence", methods=["GET"])
    async def evidence(req: func.HttpRequest) -> func.HttpResponse:
        return await _read(services, req, lambda: services.reports.evidence(req.route_params["id"]))

    return blueprint


async def _read(
    services: Services, req: func.HttpRequest, work: Callable[[], Awaitable[dict[str, Any] | None]]
) -> func.HttpResponse:
    """The document for a caller who may read, or the problem: a stranger learns nothing of what exists."""
    try:
        await services.door.admit(req.headers.get("Authorization"), READERS)
        document = await work()
    except (Unauthenticated, Forbidden, Transient) as error:
        return problem_of(error)
    except BadQuery as error:
        return problem(400, str(error))
    return problem(404, "there is no run of that id") if document is None else answer(document)
