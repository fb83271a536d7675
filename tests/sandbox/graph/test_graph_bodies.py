"""Bodies of every shape are taken or refused, and never break the service."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sandbox.graph.routes import ROUTES, Route
from sandbox.graph.schema import EntityType
from tests.sandbox.graph.client import Graph

WITH_BODY = [route for route in ROUTES if route.body]
VALUES: dict[str, Any] = {
    "string": "x",
    "boolean": True,
    "integer": 1,
    "number": 1.5,
    "datetime": "2030-01-01T00:00:00Z",
}


def bodies(kind: EntityType) -> list[Any]:
    """No object, nothing, everything null, everything of its kind, everything of another."""
    names = [name for name, prop in kind.properties.items() if not prop.read_only]
    fitting = {
        name: [VALUES[p.kind]] if p.many else VALUES[p.kind]
        for name in names
        if (p := kind.properties[name]).kind in VALUES
    }
    return [[], "text", 7, {}, dict.fromkeys(names), fitting, *({name: {"a": [1]}} for name in names)]


@pytest.mark.parametrize("route", WITH_BODY, ids=lambda route: route.key)
async def test_no_body_breaks_the_service(graph: Graph, route: Route) -> None:
    ids = {"user": graph.id("mssp", "users", "soc-e60b"), "group": graph.id("mssp", "groups", "Malware Lab")}
    path = re.sub(r"\{(\w+)\}", lambda match: ids[match[1]], route.template)
    held = [*graph.world.applications["jml"].grants["mssp"], "Group.ReadWrite.All"]
    for body in bodies(route.body_type):
        reply = await graph.call(route.method, "mssp", f"/{path}", body, permissions=held)
        assert reply.status < 500, body


@pytest.mark.parametrize("name", ["displayName", "userPrincipalName"])
async def test_a_name_cannot_be_cleared(graph: Graph, name: str) -> None:
    reply = await graph.patch("mssp", "/users/soc-e60b@soc.contoso.example", {name: None})
    assert (reply.status, reply.code) == (400, "Request_BadRequest")
