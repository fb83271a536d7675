"""What operations watch: structured log records whose facts are ids, times and outcomes, never names.

Records go through the standard logger; where an Application Insights connection string is set, OpenTelemetry exports
them with each fact as a custom dimension. The ledger is the record: this is only the view.
"""

from __future__ import annotations

import logging
import os

LOGGER = "jml"
CONNECTION = "APPLICATIONINSIGHTS_CONNECTION_STRING"


def report(event: str, **facts: str | float) -> None:
    """One record: what happened, with its facts as custom dimensions (`jml.` before each name) and in the text."""
    text = " ".join(f"{name}={value}" for name, value in facts.items() if value != "")
    dimensions = {f"jml.{name}": value for name, value in facts.items() if value != ""}
    logging.getLogger(LOGGER).info("%s %s", event, text, extra={"jml.event": event, **dimensions})


def configure() -> None:
    """Let records through, and export them where Application Insights is set up."""
    logging.getLogger(LOGGER).setLevel(logging.INFO)
    if os.environ.get(CONNECTION):
        from azure.monitor.opentelemetry import configure_azure_monitor

        configure_azure_monitor(logger_name=LOGGER, enable_live_metrics=False)
