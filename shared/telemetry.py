"""What operations watch: structured log records whose facts are ids, times and outcomes, never names.

Records go through the standard logger; where an Application Insights connection string is set, OpenTelemetry exports
them with each fact as a custom dimension. The ledger is the record: this is only the view.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

Facts = Mapping[str, str | int | float]
LOGGER = "jml"
CHATTY = ("azure", "httpx", "httpcore", "uamqp")
CONNECTION = "APPLICATIONINSIGHTS_CONNECTION_STRING"

_NOTHING: Facts = {}
_about: ContextVar[Facts] = ContextVar("about", default=_NOTHING)


@contextmanager
def about(**facts: str | int) -> Iterator[None]:
    """Every record made inside carries these facts too."""
    token = _about.set({**_about.get(), **facts})
    try:
        yield
    finally:
        _about.reset(token)


def report(event: str, **facts: str | float) -> None:
    """One record: what happened, with its facts as custom dimensions (`jml.` before each name) and in the text."""
    _record(logging.INFO, event, facts)


def warn(event: str, **facts: str | float) -> None:
    """The same, for what somebody should look at."""
    _record(logging.WARNING, event, facts)


def _record(level: int, event: str, facts: Facts) -> None:
    said = {name: value for name, value in {**_about.get(), **facts}.items() if value != ""}
    text = " ".join(f"{name}={value}" for name, value in said.items())
    dimensions = {f"jml.{name}": value for name, value in said.items()}
    logging.getLogger(LOGGER).log(level, "%s %s", event, text, extra={"jml.event": event, **dimensions})


def configure() -> None:
    """Let our records through, and export them where Application Insights is set up.

    The SDKs' own records stay out: they carry addresses of requests, and with them names.
    """
    logging.getLogger(LOGGER).setLevel(logging.INFO)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    if os.environ.get(CONNECTION):
        from azure.monitor.opentelemetry import configure_azure_monitor

        configure_azure_monitor(logger_name=LOGGER, enable_live_metrics=False)
