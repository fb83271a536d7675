"""A small world: a corporate tenant with two people, an MSSP tenant, a gov tenant, and the app in both clouds."""

from __future__ import annotations

from typing import Any

from sandbox.world import World, parse_world

TENANTS: dict[str, Any] = {
    "corporate": {
        "display_name": "Corporate",
        "domain": "corp.example",
        "users": [
            {"displayName": name, "userPrincipalName": f"{name}@corp.example", "department": "SOC"}
            for name in ("ann", "bob")
        ],
    },
    "mssp": {"display_name": "MSSP", "domain": "mssp.example"},
    "gov": {"display_name": "Gov", "domain": "gov.example", "cloud": "usgov"},
}
APPLICATIONS: dict[str, Any] = {
    "jml": {"home_tenant": "mssp", "grants": {"corporate": ["User.Read.All"], "mssp": []}},
    "jml-gov": {"home_tenant": "gov", "grants": {"gov": []}},
}


def world(*tenants: str, applications: dict[str, Any] = APPLICATIONS) -> World:
    named = {name: TENANTS[name] for name in tenants or TENANTS}
    return parse_world({"tenants": named, "applications": applications})
