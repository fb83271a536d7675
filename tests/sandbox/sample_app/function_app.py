# ruff: noqa: INP001
"""A small app that shows its host what a function sees: every kind of trigger, and one that fails."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
JOURNAL = Path(os.environ["SAMPLE_JOURNAL"])
LOOP: dict[str, int] = {}

if os.environ.get("SAMPLE_BROKEN"):
    raise ValueError("SAMPLE_BROKEN is set: the sample refuses to start")


def note(**row: object) -> None:
    with JOURNAL.open("a") as journal:
        journal.write(json.dumps(row) + "\n")


@app.route(route="things/{id}", methods=["GET", "PUT"])
async def thing(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    seen = {
        "id": req.route_params.get("id"),
        "method": req.method,
        "query": dict(req.params),
        "header": req.headers.get("X-Sample"),
        "body": req.get_body().decode(),
        "trace": context.trace_context.trace_parent,
        "loop": id(asyncio.get_running_loop()),
    }
    return func.HttpResponse(json.dumps(seen), status_code=202, mimetype="application/json", headers={"X-Seen": "yes"})


@app.route(route="things/special", methods=["GET"])
def special(req: func.HttpRequest) -> str:
    return "special"


@app.route(route="disabled")
async def disabled(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("not to be reached")


@app.route(route="broken")
async def broken(req: func.HttpRequest) -> func.HttpResponse:
    raise RuntimeError("the sample fails on purpose")


@app.timer_trigger(schedule="%SAMPLE_SCHEDULE%", arg_name="timer", run_on_startup=False)
async def tick(timer: func.TimerRequest) -> None:
    note(kind="tick", past_due=timer.past_due, loop=id(asyncio.get_running_loop()))
    logging.getLogger("sample").info("tick")
    print("printed by the sample")


@app.timer_trigger(schedule="0 0 0 1 1 *", arg_name="timer", run_on_startup=False)
async def failing_tick(timer: func.TimerRequest) -> None:
    raise RuntimeError("the timer fails on purpose")


@app.timer_trigger(schedule="*/1 * * * * *", arg_name="timer", run_on_startup=False)
async def slow_tick(timer: func.TimerRequest) -> None:
    note(kind="slow", at="start")
    await asyncio.sleep(0.3)
    note(kind="slow", at="end")


@app.service_bus_queue_trigger(
    arg_name="message", queue_name="%SAMPLE_QUEUE%", connection="JML_SERVICEBUS", is_sessions_enabled=True
)
async def on_message(message: func.ServiceBusMessage) -> None:
    note(
        kind="message",
        body=message.get_body().decode(),
        message_id=message.message_id,
        session=message.session_id,
        delivery=message.delivery_count,
        sequence=message.sequence_number,
        enqueued=str(message.enqueued_time_utc),
        properties=message.application_properties,
        content_type=message.content_type,
        correlation=message.correlation_id,
    )
    await asyncio.sleep(0.6 if message.get_body() == b"work" else 0.1)
    note(kind="message-end", session=message.session_id)
    if message.get_body() == b"refuse":
        raise RuntimeError("the message is refused on purpose")


@app.service_bus_queue_trigger(arg_name="message", queue_name="rejected", connection="JML_SERVICEBUS")
async def on_plain(message: func.ServiceBusMessage) -> None:
    note(kind="plain", body=message.get_body().hex())
