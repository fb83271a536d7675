"""Least privilege: every operation asks for its permissions, and for no more."""

from __future__ import annotations

import re

import pytest

from jml.permissions import GRANTS
from sandbox.graph.permissions import PERMISSIONS, READ_PROPERTY, WRITE_PROPERTY, allowed
from sandbox.graph.routes import ROUTES, Route
from tests.sandbox.graph.client import Graph

LEAVE_DATE = "/users/canary@contoso.example?$select=id,employeeLeaveDateTime"


def test_the_permission_table_and_the_route_table_name_the_same_operations() -> None:
    assert {route.permission_key for route in ROUTES} == set(PERMISSIONS)
    assert len({route.key for route in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.key)
async def test_an_operation_is_denied_without_its_permissions(graph: Graph, route: Route) -> None:
    path = re.sub(r"\{\w+\}", "x", route.template)
    headers = {"ConsistencyLevel": "eventual"} if "microsoft.graph." in path or "$count" in path else {}
    query = "?$count=true" if "microsoft.graph." in path and not path.endswith("$count") else ""
    body: dict[str, str] | None = {} if route.body else None
    denied = await graph.call(route.method, "mssp", f"/{path}{query}", body, permissions=[], headers=headers)
    assert (denied.status, denied.code) == (403, "Authorization_RequestDenied")
    for alternative in PERMISSIONS[route.permission_key].split("|"):
        held = [name.strip() for name in alternative.split("+")]
        reply = await graph.call(route.method, "mssp", f"/{path}{query}", body, permissions=held, headers=headers)
        assert reply.status != 403, (held, reply.body)


@pytest.mark.parametrize("needed", [*PERMISSIONS.values(), *WRITE_PROPERTY.values(), *READ_PROPERTY.values()])
def test_permission_names_are_well_formed(needed: str) -> None:
    assert all(re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", name.strip()) for name in re.split(r"[|+]", needed))
    assert not allowed(needed, [])


async def test_disabling_needs_both_of_its_permissions(graph: Graph) -> None:
    path, body = "/users/soc-e60b@soc.contoso.example", {"accountEnabled": False}
    both = ["User.EnableDisableAccount.All", "User.Read.All"]
    for lacking in both:
        held = [name for name in both if name != lacking]
        assert (await graph.patch("mssp", path, body, permissions=held)).status == 403
    assert (await graph.patch("mssp", path, {**body, "jobTitle": "x"}, permissions=both)).status == 403
    assert (await graph.patch("mssp", path, body, permissions=both)).status == 204


async def test_a_leave_date_reads_as_null_without_its_permission_and_without_an_error(graph: Graph) -> None:
    """Facts, number 8."""
    without = [name for name in GRANTS["corporate"] if name != "User-LifeCycleInfo.Read.All"]
    shown = await graph.get("corporate", LEAVE_DATE)
    hidden = await graph.get("corporate", LEAVE_DATE, permissions=without)
    assert shown.body["employeeLeaveDateTime"] == "2099-12-31T00:00:00Z"
    assert (hidden.status, hidden.body["employeeLeaveDateTime"]) == (200, None)
    query = "/users?$filter=employeeLeaveDateTime ge 2000-01-01T00:00:00Z"
    assert len((await graph.get("corporate", query)).ids) == 3
    assert (await graph.get("corporate", query, permissions=without)).ids == []


async def test_a_leave_date_is_written_with_its_own_permission_alone(graph: Graph) -> None:
    body = {"employeeLeaveDateTime": "2030-01-01T00:00:00Z"}
    path = "/users/alexw@contoso.example"
    assert (await graph.patch("corporate", path, body, permissions=["User.ReadWrite.All"])).status == 403
    held = ["User-LifeCycleInfo.ReadWrite.All", "User.Read.All"]
    assert (await graph.patch("corporate", path, body, permissions=held)).status == 204


async def test_members_of_types_that_may_not_be_read_show_their_id_alone(graph: Graph) -> None:
    path = "/users/soc-4f2a@soc.contoso.example/memberOf"
    reply = await graph.get("mssp", path, permissions=["GroupMember.Read.All"])
    names = {one["@odata.type"]: one["displayName"] is not None for one in reply.body["value"]}
    assert names == {"#microsoft.graph.group": True, "#microsoft.graph.directoryRole": False}


async def test_delegated_tokens_carry_no_application_permissions(graph: Graph) -> None:
    token = graph.token("mssp", ["User.Read.All"], scp="User.Read")
    assert (await graph.get("mssp", "/users", token=token)).status == 403


async def test_a_token_opens_its_own_tenant_alone(graph: Graph) -> None:
    corporate = await graph.get("corporate", "/users?$select=userPrincipalName")
    assert all(one["userPrincipalName"].endswith("@contoso.example") for one in corporate.body["value"])
    assert (await graph.get("corporate", "/users/soc-4f2a@soc.contoso.example")).status == 404
