"""Small worlds and policies for one question each: people with an account, and what the question needs beside them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox.local_cloud import SAMPLE_POLICY, default_grants
from sandbox.world import World, parse_world, stable_id

BREAK_GLASS = "00000000-0000-4000-8000-0000000b4ea6"
CANARY = "00000000-0000-4000-8000-00000000ca11"
SOC = "Security Operations"
Data = dict[str, Any]


@dataclass(frozen=True)
class Person:
    """A corporate person and their account, by id."""

    id: str
    account: str


def person_of(name: str) -> Person:
    """Whom `team` makes under that name."""
    return Person(stable_id("e2e", "person", name), stable_id("e2e", "account", name))


def team(*names: str, mssp: Mapping[str, Any] | None = None, jml: Mapping[str, Any] | None = None) -> Data:
    """A world of these people, each with an account `soc-<name>` in two groups; `mssp` and `jml` are laid over it."""
    people = [person_of(name) for name in names]
    accounts = [_account(one.account, f"soc-{name}") for one, name in zip(people, names, strict=True)]
    members = [one.account for one in people]
    tenant: Data = {
        "display_name": "Contoso MSSP",
        "domain": "soc.contoso.example",
        "users": [*accounts, _account(BREAK_GLASS, "break-glass")],
        "groups": [
            {"displayName": "Sentinel Analysts", "members": members},
            {"displayName": "Incident Bridge", "members": members},
        ],
        "role_assignments": [{"principal": BREAK_GLASS, "role": "Global Administrator"}],
    }
    for key, value in (mssp or {}).items():
        tenant[key] = [*tenant.get(key, []), *value] if isinstance(value, list) else value
    application = {"home_tenant": "mssp", "directory_roles": {"mssp": ["Privileged Authentication Administrator"]}}
    return {
        "tenants": {
            "corporate": {
                "display_name": "Contoso",
                "domain": "contoso.example",
                "users": [*(_person(one.id, name) for one, name in zip(people, names, strict=True)), _canary()],
            },
            "mssp": tenant,
        },
        "applications": {"jml": {**application, **(jml or {})}},
    }


def _person(key: str, name: str) -> Data:
    address = f"{name}@contoso.example"
    return {
        "id": key,
        "displayName": f"{name.title()} Person",
        "userPrincipalName": address,
        "mail": address,
        "department": SOC,
        "jobTitle": "SOC Analyst",
        "companyName": "Contoso",
    }


def _account(key: str, name: str) -> Data:
    return {"id": key, "displayName": name, "userPrincipalName": f"{name}@soc.contoso.example"}


def _canary() -> Data:
    return {**_person(CANARY, "canary"), "employeeLeaveDateTime": "2099-12-31T00:00:00Z"}


def grants_without(*missing: tuple[str, str]) -> dict[str, list[str]]:
    """The permissions that the app needs, by tenant, less the given pairs of tenant and name."""
    return {
        tenant: [name for name in names if (tenant, name) not in missing]
        for tenant, names in default_grants().items()
        if tenant != "customer"
    }


def opened(data: Data) -> World:
    return parse_world(copy.deepcopy(data), default_grants())


def write_policy(path: Path, changes: Mapping[str, Any] | None = None) -> Path:
    """The sample policy with short waits and a wide breaker, without customers, and with `changes`, by dotted name."""
    policy = yaml.safe_load(SAMPLE_POLICY.read_text(encoding="utf-8"))
    wide = {"limits.breaker": {"count": 200, "share": 1}, "limits.missing": 1}
    defaults = {"limits.poll": "PT0.2S", "residual_access.customer_tenants": []} | wide
    for name, value in (defaults | dict(changes or {})).items():
        *sections, last = name.split(".")
        place = policy
        for section in sections:
            place = place[section]
        place[last] = value
    path.write_text(yaml.safe_dump(policy), encoding="utf-8")
    return path
