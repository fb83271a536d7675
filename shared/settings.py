"""Settings: everything the app needs to know of its surroundings, from the environment, or every fault at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from shared.errors import InvalidConfiguration
from shared.guid import GUID

SERVICE_BUS = "JML_SERVICEBUS"


class Deployment(StrEnum):
    """Which side of the house this app is: it decides which functions exist."""

    COMMERCIAL = "commercial"
    GOV = "gov"


@dataclass(frozen=True)
class Bus:
    """Service Bus by connection string, or by namespace with a managed identity: one of the two."""

    connection_string: str = ""
    namespace: str = ""
    client_id: str = ""


@dataclass(frozen=True)
class Settings:
    """All of them; endpoints without a slash at the end."""

    deployment: Deployment
    policy: Path
    login_endpoint: str
    graph_endpoint: str
    corporate_tenant_id: str
    mssp_tenant_id: str
    client_id: str
    managed_identity_client_id: str
    token_exchange_scope: str
    tables_endpoint: str
    api_audience: str
    sweep_schedule: str
    release_schedule: str
    bus: Bus


@dataclass(frozen=True)
class _Check:
    """What a value must be, in words and as a test."""

    expected: str
    accepts: Callable[[str], object]


_DEPLOYMENT = _Check("commercial or gov", lambda value: value in set(Deployment))
_FILE = _Check("the path of an existing file", lambda value: Path(value).is_file())
_ENDPOINT = _Check("an https address", lambda value: re.match(r"^https://[^/]+", value))
_GUID = _Check("a GUID in small letters", GUID.match)
_SCHEDULE = _Check("an NCRONTAB expression of six fields", lambda value: len(value.split()) == 6)
_TEXT = _Check("a value", bool)

_FIELDS: dict[str, tuple[str, _Check]] = {
    "deployment": ("JML_DEPLOYMENT", _DEPLOYMENT),
    "policy": ("JML_POLICY", _FILE),
    "login_endpoint": ("JML_LOGIN_ENDPOINT", _ENDPOINT),
    "graph_endpoint": ("JML_GRAPH_ENDPOINT", _ENDPOINT),
    "corporate_tenant_id": ("JML_CORPORATE_TENANT_ID", _GUID),
    "mssp_tenant_id": ("JML_MSSP_TENANT_ID", _GUID),
    "client_id": ("JML_CLIENT_ID", _GUID),
    "managed_identity_client_id": ("JML_MANAGED_IDENTITY_CLIENT_ID", _GUID),
    "token_exchange_scope": ("JML_TOKEN_EXCHANGE_SCOPE", _TEXT),
    "tables_endpoint": ("JML_TABLES_ENDPOINT", _ENDPOINT),
    "api_audience": ("JML_API_AUDIENCE", _GUID),
    "sweep_schedule": ("JML_SWEEP_SCHEDULE", _SCHEDULE),
    "release_schedule": ("JML_RELEASE_SCHEDULE", _SCHEDULE),
}
"""Field of Settings → the setting's name and what it must be."""


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Settings from `environment`. Raises InvalidConfiguration naming every one that is missing or wrong."""
    values = {field: environment.get(name, "").strip() for field, (name, _) in _FIELDS.items()}
    problems = [
        f"{name} is {values[field]!r}: {check.expected} was expected"
        if values[field]
        else f"{name} is missing: {check.expected} was expected"
        for field, (name, check) in _FIELDS.items()
        if not values[field] or not check.accepts(values[field])
    ]
    bus = Bus(
        environment.get(SERVICE_BUS, ""),
        environment.get(f"{SERVICE_BUS}__fullyQualifiedNamespace", ""),
        environment.get(f"{SERVICE_BUS}__clientId", ""),
    )
    if bool(bus.connection_string) == bool(bus.namespace):
        problems.append(
            f"exactly one of {SERVICE_BUS} (a connection string) and {SERVICE_BUS}__fullyQualifiedNamespace "
            "(with a managed identity) was expected"
        )
    if problems:
        raise InvalidConfiguration("settings", problems)
    texts = {field: value.rstrip("/") for field, value in values.items() if field not in ("deployment", "policy")}
    return Settings(deployment=Deployment(values["deployment"]), policy=Path(values["policy"]), bus=bus, **texts)
