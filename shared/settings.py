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
VAULT_KEY, VAULT_SCOPE = "JML_CHECKPOINT_VAULT_KEY", "JML_CHECKPOINT_VAULT_SCOPE"
KEY_FILE = "JML_CHECKPOINT_KEY_FILE"


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
class Signing:
    """The key that signs checkpoints: in Key Vault (its address, and the token scope of the cloud), or a file."""

    vault_key: str = ""
    vault_scope: str = ""
    key_file: Path | None = None


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
    checkpoint_schedule: str
    checkpoints: str
    bus: Bus
    signing: Signing


@dataclass(frozen=True)
class _Check:
    """What a value must be, in words and as a test."""

    expected: str
    accepts: Callable[[str], object]


_DEPLOYMENT = _Check("commercial or gov", lambda value: value in set(Deployment))
_FILE = _Check("the path of an existing file", lambda value: Path(value).is_file())
_ENDPOINT = _Check("an https address", lambda value: re.match(r"^https://[^/]+", value))
_CONTAINER = _Check("the https address of a blob container", lambda value: re.match(r"^https://[^/]+/.", value))
_VAULT_KEY = _Check(
    "the https address of a key: https://<vault>/keys/<name>, with or without a version",
    lambda value: re.match(r"^https://[^/]+/keys/[0-9A-Za-z-]+(/[0-9a-f]{32})?$", value),
)
_SCOPE = _Check(
    "the scope of the vault's tokens, https://vault.azure.net/.default in the public cloud",
    lambda value: re.match(r"^https://[^/]+/\.default$", value),
)
_KEY_FILE = _Check("the path of a PEM file with a private key", lambda value: _has_private_key(Path(value)))
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
    "checkpoint_schedule": ("JML_CHECKPOINT_SCHEDULE", _SCHEDULE),
    "checkpoints": ("JML_CHECKPOINTS_CONTAINER", _CONTAINER),
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
    signing, wrong = _signing(environment)
    problems += wrong
    if problems:
        raise InvalidConfiguration("settings", problems)
    texts = {field: value.rstrip("/") for field, value in values.items() if field not in ("deployment", "policy")}
    deployment, policy = Deployment(values["deployment"]), Path(values["policy"])
    return Settings(deployment=deployment, policy=policy, bus=bus, signing=signing, **texts)


def _signing(environment: Mapping[str, str]) -> tuple[Signing, list[str]]:
    """The signing key, and what is wrong with its settings: exactly one way to name it."""
    key, scope, file = (environment.get(name, "").strip() for name in (VAULT_KEY, VAULT_SCOPE, KEY_FILE))
    problems: list[str] = []
    if bool(key) == bool(file):
        problems.append(
            f"exactly one of {VAULT_KEY} (a key in Key Vault, with {VAULT_SCOPE}) and {KEY_FILE} (a PEM file) was "
            "expected"
        )
    checks = ((VAULT_KEY, key, _VAULT_KEY, key), (VAULT_SCOPE, scope, _SCOPE, key), (KEY_FILE, file, _KEY_FILE, file))
    problems += [
        f"{name} is {value!r}: {check.expected} was expected"
        for name, value, check, wanted in checks
        if wanted and not check.accepts(value)
    ]
    return Signing(key, scope, Path(file) if file else None), problems


def _has_private_key(path: Path) -> bool:
    return path.is_file() and b"PRIVATE KEY-----" in path.read_bytes()
