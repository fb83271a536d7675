"""Settings: everything the app needs to know of its surroundings, from the environment, or every fault at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from shared.errors import InvalidConfiguration

GUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
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
    bus: Bus


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Settings from `environment`. Raises InvalidConfiguration naming every one that is missing or wrong."""
    problems: list[str] = []

    def take(name: str, check: Callable[[str], str | None]) -> str:
        value = environment.get(name, "").strip()
        fault = f"is missing: {check.__doc__} was expected" if not value else check(value)
        if fault:
            problems.append(f"{name} {fault}")
        return value

    deployment = take("JML_DEPLOYMENT", _deployment)
    settings = {
        "policy": take("JML_POLICY", _file),
        "login_endpoint": take("JML_LOGIN_ENDPOINT", _endpoint).rstrip("/"),
        "graph_endpoint": take("JML_GRAPH_ENDPOINT", _endpoint).rstrip("/"),
        "corporate_tenant_id": take("JML_CORPORATE_TENANT_ID", _guid),
        "mssp_tenant_id": take("JML_MSSP_TENANT_ID", _guid),
        "client_id": take("JML_CLIENT_ID", _guid),
        "managed_identity_client_id": take("JML_MANAGED_IDENTITY_CLIENT_ID", _guid),
        "token_exchange_scope": take("JML_TOKEN_EXCHANGE_SCOPE", _text),
        "tables_endpoint": take("JML_TABLES_ENDPOINT", _endpoint).rstrip("/"),
        "api_audience": take("JML_API_AUDIENCE", _text),
    }
    for name in ("JML_SWEEP_SCHEDULE", "JML_RELEASE_SCHEDULE"):
        take(name, _schedule)
    bus = _bus(environment, problems)
    if problems:
        raise InvalidConfiguration("settings", problems)
    policy = Path(settings.pop("policy"))
    return Settings(deployment=Deployment(deployment), policy=policy, bus=bus, **settings)


def _bus(environment: Mapping[str, str], problems: list[str]) -> Bus:
    connection = environment.get(SERVICE_BUS, "")
    namespace = environment.get(f"{SERVICE_BUS}__fullyQualifiedNamespace", "")
    if bool(connection) == bool(namespace):
        problems.append(
            f"{SERVICE_BUS} (a connection string) or {SERVICE_BUS}__fullyQualifiedNamespace (with a managed identity) "
            "was expected: exactly one of the two"
        )
    return Bus(connection, namespace, environment.get(f"{SERVICE_BUS}__clientId", ""))


def _deployment(value: str) -> str | None:
    """commercial or gov"""  # noqa: D403
    return None if value in set(Deployment) else f"is {value!r}: commercial or gov was expected"


def _file(value: str) -> str | None:
    """the path of a policy file"""  # noqa: D403
    return None if Path(value).is_file() else f"is {value!r}: no such file"


def _endpoint(value: str) -> str | None:
    """an https address"""  # noqa: D403
    parts = urlsplit(value)
    good = parts.scheme == "https" and parts.hostname
    return None if good else f"is {value!r}: an https address was expected"


def _guid(value: str) -> str | None:
    """a GUID in small letters"""  # noqa: D403
    return None if GUID.match(value) else f"is {value!r}: a GUID in small letters was expected"


def _schedule(value: str) -> str | None:
    """an NCRONTAB expression of six fields"""  # noqa: D403
    return None if len(value.split()) == 6 else f"is {value!r}: an NCRONTAB expression of six fields was expected"


def _text(value: str) -> str | None:  # noqa: ARG001 - anything that is there will do
    """a value"""  # noqa: D403
    return None
