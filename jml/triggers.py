"""Triggers of the lifecycle: bytes in, one service call, a reply out. They decide nothing."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import azure.functions as func

from jml.baseline import document as baseline_document
from jml.held import document as hold_document
from jml.services import Services
from jml.terminations import document as termination_document
from shared.authorisation import READERS, Caller, Role
from shared.bodies import read_texts
from shared.guid import GUID
from shared.problems import STATUSES, answer, problem_of

PERSON = {"person": (GUID, "the corporate object id, a GUID in small letters")}
DIGEST = {"digest": (re.compile(r"^[0-9a-f]{64}\Z"), "the digest that GET showed, 64 hexadecimal digits,")}
APPROVERS, OPERATORS = frozenset({Role.APPROVER}), frozenset({Role.OPERATOR})


def timers(services: Services) -> func.Blueprint:
    """The sweep, the release of what is due, and the anchoring of what was closed."""
    blueprint = func.Blueprint()

    @blueprint.timer_trigger(arg_name="timer", schedule="%JML_SWEEP_SCHEDULE%")
    async def sweep_leave_dates(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the host passes it by name
        await services.sweep.run()

    @blueprint.timer_trigger(arg_name="timer", schedule="%JML_RELEASE_SCHEDULE%")
    async def release_due(timer: func.TimerRequest) -> None:  # noqa: ARG001
        await services.release.run()

    @blueprint.timer_trigger(arg_name="timer", schedule="%JML_CHECKPOINT_SCHEDULE%")
    async def write_checkpoints(timer: func.TimerRequest) -> None:  # noqa: ARG001
        await services.proof.write()

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
        return await _serve(services, req, READERS, lambda _: services.reports.runs(req.params))

    @blueprint.route(route="runs/{id}", methods=["GET"])
    async def run(req: func.HttpRequest) -> func.HttpResponse:
        return await _serve(services, req, READERS, lambda _: services.reports.run(req.route_params["id"]))

    @blueprint.route(route="runs/{id}/evidence", methods=["GET"])
    async def evidence(req: func.HttpRequest) -> func.HttpResponse:
        return await _serve(services, req, READERS, lambda _: services.reports.evidence(req.route_params["id"]))

    return blueprint


def holds(services: Services) -> func.Blueprint:
    """Holds: everybody who may read sees them, an Approver decides."""
    blueprint = func.Blueprint()

    @blueprint.route(route="holds", methods=["GET"])
    async def holds_list(req: func.HttpRequest) -> func.HttpResponse:
        return await _serve(services, req, READERS, lambda _: services.reports.holds(req.params))

    @blueprint.route(route="holds/{id}", methods=["GET"])
    async def hold(req: func.HttpRequest) -> func.HttpResponse:
        return await _serve(services, req, READERS, lambda _: services.reports.hold(req.route_params["id"]))

    @blueprint.route(route="holds/{id}/release", methods=["POST"])
    async def hold_release(req: func.HttpRequest) -> func.HttpResponse:
        async def work(caller: Caller) -> dict[str, Any]:
            seen = read_texts(req.get_body(), DIGEST)["digest"]
            return hold_document(await services.holds.release(req.route_params["id"], seen, caller))

        return await _serve(services, req, APPROVERS, work)

    @blueprint.route(route="holds/{id}/refuse", methods=["POST"])
    async def hold_refuse(req: func.HttpRequest) -> func.HttpResponse:
        async def work(caller: Caller) -> dict[str, Any]:
            seen = read_texts(req.get_body(), DIGEST)["digest"]
            return hold_document(await services.holds.refuse(req.route_params["id"], seen, caller))

        return await _serve(services, req, APPROVERS, work)

    return blueprint


def baseline(services: Services) -> func.Blueprint:
    """The baseline of the corporate tenant: an Approver accepts what has shrunk."""
    blueprint = func.Blueprint()

    @blueprint.route(route="baseline", methods=["GET"])
    async def baseline_now(req: func.HttpRequest) -> func.HttpResponse:
        async def work(_: Caller) -> dict[str, Any]:
            return baseline_document(await services.baselines.get())

        return await _serve(services, req, READERS, work)

    @blueprint.route(route="baseline/accept", methods=["POST"])
    async def baseline_accept(req: func.HttpRequest) -> func.HttpResponse:
        async def work(caller: Caller) -> dict[str, Any]:
            seen = read_texts(req.get_body(), DIGEST)["digest"]
            return baseline_document(await services.baselines.accept(seen, caller))

        return await _serve(services, req, APPROVERS, work)

    return blueprint


def terminations(services: Services) -> func.Blueprint:
    """Terminations: an Operator orders and revokes them."""
    blueprint = func.Blueprint()

    @blueprint.route(route="terminations", methods=["GET"])
    async def terminations_list(req: func.HttpRequest) -> func.HttpResponse:
        async def work(_: Caller) -> dict[str, Any]:
            return {"terminations": [termination_document(one) for one in await services.terminations.all()]}

        return await _serve(services, req, READERS, work)

    @blueprint.route(route="terminations", methods=["POST"])
    async def termination_order(req: func.HttpRequest) -> func.HttpResponse:
        async def work(caller: Caller) -> dict[str, Any]:
            person = read_texts(req.get_body(), PERSON)["person"]
            return termination_document(await services.terminations.order(person, caller))

        return await _serve(services, req, OPERATORS, work, status=202)

    @blueprint.route(route="terminations/{id}", methods=["DELETE"])
    async def termination_revoke(req: func.HttpRequest) -> func.HttpResponse:
        async def work(caller: Caller) -> None:
            await services.terminations.revoke(req.route_params["id"], caller)

        return await _serve(services, req, OPERATORS, work, status=204)

    return blueprint


async def _serve(
    services: Services,
    req: func.HttpRequest,
    allowed: frozenset[Role],
    work: Callable[[Caller], Awaitable[dict[str, Any] | None]],
    status: int = 200,
) -> func.HttpResponse:
    """The document for a caller who may have it, or the problem: a stranger learns nothing of what exists."""
    try:
        caller = await services.door.admit(req.headers.get("Authorization"), allowed)
        document = await work(caller)
    except tuple(STATUSES) as error:
        return problem_of(error)
    return func.HttpResponse(status_code=status) if document is None else answer(document, status)
