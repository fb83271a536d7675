"""The parts of `host.json` that this host obeys, with the defaults and the overrides of the real one.

Microsoft: "host.json reference" and "Azure Service Bus bindings", host.json settings. A setting
`AzureFunctionsJobHost__extensions__serviceBus__maxConcurrentSessions` overrides the file, as in Azure.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OVERRIDE = "AzureFunctionsJobHost__"
_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,7}))?")


class InvalidHostJson(Exception):
    """`host.json` cannot be read; the text names the field."""


@dataclass(frozen=True)
class HostJson:
    route_prefix: str
    max_concurrent_sessions: int
    max_concurrent_calls: int
    session_idle_s: float
    lock_renewal_s: float
    prefetch: int


def read_host_json(app: Path) -> HostJson:
    path = app / "host.json"
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as missing:
        raise InvalidHostJson(f"{path} is missing") from missing
    except json.JSONDecodeError as malformed:
        raise InvalidHostJson(f"{path}: {malformed}") from malformed
    for names, value in _overrides():
        _set(content, names, value)
    bus = _section(content, "extensions", "serviceBus")
    return HostJson(
        route_prefix=str(_section(content, "extensions", "http").get("routePrefix", "api")),
        max_concurrent_sessions=_count(bus, "maxConcurrentSessions", 8),
        max_concurrent_calls=_count(bus, "maxConcurrentCalls", 16),
        session_idle_s=seconds(bus.get("sessionIdleTimeout", "00:01:00"), "sessionIdleTimeout"),
        lock_renewal_s=seconds(bus.get("maxAutoLockRenewalDuration", "00:05:00"), "maxAutoLockRenewalDuration"),
        prefetch=_count(bus, "prefetchCount", 0),
    )


def seconds(text: Any, field: str) -> float:
    """A .NET TimeSpan (`[d.]hh:mm:ss[.fffffff]`) in seconds."""
    found = _TIME_SPAN.fullmatch(str(text))
    if found is None:
        raise InvalidHostJson(f"host.json: {field} is not a time span like 00:05:00: {text!r}")
    days, hours, minutes, whole = (int(part or 0) for part in found.groups()[:4])
    fraction = float(f"0.{found[5] or 0}")
    return ((days * 24 + hours) * 60 + minutes) * 60 + whole + fraction


def _overrides() -> Iterator[tuple[list[str], str]]:
    for name, value in os.environ.items():
        if name.startswith(OVERRIDE):
            yield name.removeprefix(OVERRIDE).split("__"), value


def _set(content: dict[str, Any], names: list[str], value: str) -> None:
    for name in names[:-1]:
        content = content.setdefault(name, {})
    content[names[-1]] = value


def _section(content: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        content = content.get(name, {})
    return content


def _count(section: dict[str, Any], name: str, default: int) -> int:
    value = section.get(name, default)
    try:
        return int(value)
    except (TypeError, ValueError) as wrong:
        raise InvalidHostJson(f"host.json: {name} is not a whole number: {value!r}") from wrong
