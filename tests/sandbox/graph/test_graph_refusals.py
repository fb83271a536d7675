"""Each row of the refusal tables has an example: a request that Graph answers with that status, code and message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from sandbox.graph.refusals import BY_NAME, REFUSALS
from tests.sandbox.graph.client import Graph, Reply
from tests.sandbox.graph.conftest import Serve

JSON = {"Content-Type": "application/json"}
PIM = "/identityGovernance/privilegedAccess/group"
ROLE = "/roleManagement/directory"
EM = "/identityGovernance/entitlementManagement"
NOBODY = "11111111-1111-4111-8111-111111111111"
READER = "5d6b6bb7-de71-4623-b4af-96380a352509"

PEOPLE = ("plain", "admin", "keeper", "shielded", "synced", "fresh", "other")
GROUPS = ("assigned", "role-assignable", "dynamic", "synced", "mail-enabled")


def key(name: str) -> str:
    """An id that a test can name: users, groups and the rest by a readable name."""
    return f"00000000-0000-4000-8000-{name.encode().hex()[:12]:0>12}"


def world() -> dict[str, Any]:
    users: list[dict[str, Any]] = [
        {"id": key(name), "displayName": name, "userPrincipalName": f"{name}@m.example"} for name in PEOPLE
    ]
    users[PEOPLE.index("synced")]["onPremisesSyncEnabled"] = True
    groups: list[dict[str, Any]] = [
        {"id": key(f"g{kind}"), "displayName": f"g-{kind}", "kind": kind, "members": ["plain"], "owners": ["other"]}
        for kind in GROUPS
    ]
    groups[1] |= {"members": ["keeper"], "owners": ["keeper", "other"]}
    groups += [
        {"id": key("vault"), "displayName": "vault", "members": ["plain"], "owners": ["plain", "other"]},
        {"id": key("duty"), "displayName": "duty", "pim": True},
    ]
    return {
        "tenants": {
            "mssp": {
                "display_name": "M",
                "domain": "m.example",
                "users": users,
                "groups": groups,
                "administrative_units": [
                    {
                        "displayName": "Restricted",
                        "isMemberManagementRestricted": True,
                        "members": ["shielded", "vault"],
                    },
                ],
                "role_assignments": [{"principal": "admin", "role": "Security Reader"}],
                "group_activations": [
                    {"principal": "fresh", "group": "duty", "started_minutes_ago": 1},
                    {"principal": "other", "group": "duty"},
                ],
                "access_packages": [{"id": key("pack"), "displayName": "pack", "assigned": ["plain", "other"]}],
                "authentication_methods": {"admin": [{"kind": "oath", "id": key("oath")}]},
            }
        }
    }


@dataclass(frozen=True)
class Example:
    """A request and the reply's status and code. `grant` and `without` change the app's permissions."""

    answer: str
    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    token: str | None = None
    claims: Mapping[str, Any] | None = None
    without: str = ""
    grant: str = ""
    raw: bytes | None = None
    url: str = ""


def user(name: str) -> str:
    return f"/users/{key(name)}"


def seat(group: str, who: str, relation: str = "members") -> str:
    return f"/groups/{key(group)}/{relation}/{key(who)}/$ref"


def batch(*requests: dict[str, Any]) -> dict[str, Any]:
    return {"requests": list(requests)}


def one(**changes: Any) -> dict[str, Any]:
    return {"id": "1", "method": "GET", "url": "/users", **changes}


def remove(**subject: Any) -> dict[str, Any]:
    return {"action": "adminRemove", **subject}


def reference(who: str) -> dict[str, str]:
    return {"@odata.id": f"https://graph.microsoft.com/v1.0/directoryObjects/{key(who)}"}


NEW_USER = {
    "accountEnabled": True,
    "displayName": "New",
    "mailNickname": "new",
    "userPrincipalName": "new@m.example",
    "passwordProfile": {"password": "x"},
}
OWNERS = "Group.ReadWrite.All"

EXAMPLES: dict[str, Example] = {
    # tokens and permissions
    "token-missing": Example("401 InvalidAuthenticationToken", "GET", "/users", token=""),
    "token-refused": Example("401 InvalidAuthenticationToken", "GET", "/users", token="no-jwt"),
    "token-audience": Example("401 InvalidAuthenticationToken", "GET", "/users", claims={"aud": "other"}),
    "token-tenant": Example("401 InvalidAuthenticationToken", "GET", "/users", claims={"tid": NOBODY}),
    "permission": Example("403 Authorization_RequestDenied", "GET", "/groups/x", claims={"roles": ["User.Read.All"]}),
    # paths and queries
    "version": Example("400 BadRequest", "GET", "", url="/beta/users"),
    "path": Example("400 BadRequest", "GET", "/users/x/unheardOf"),
    "method": Example("405 Request_BadRequest", "PUT", user("plain"), {}),
    "no-such-object": Example("404 Request_ResourceNotFound", "GET", f"/users/{NOBODY}"),
    "no-such-resource": Example(
        "404 ResourceNotFound",
        "POST",
        f"{EM}/assignmentRequests",
        {"requestType": "adminAdd", "assignment": {"targetId": NOBODY, "accessPackageId": NOBODY}},
    ),
    "query-option": Example("400 BadRequest", "GET", "/users?$search=x"),
    "query-option-twice": Example("400 BadRequest", "GET", "/users?$top=1&$top=2"),
    "select-name": Example("400 BadRequest", "GET", "/users?$select=id,shoeSize"),
    "expand-name": Example("400 BadRequest", "GET", "/users?$expand=shoes"),
    "expand-unsupported": Example("400 Request_BadRequest", "GET", "/users?$expand=messages"),
    "orderby-name": Example("400 BadRequest", "GET", "/users?$orderby=shoeSize"),
    "filter-syntax": Example("400 BadRequest", "GET", "/users?$filter=displayName eq"),
    "filter-name": Example("400 BadRequest", "GET", "/users?$filter=shoeSize eq 44"),
    "filter-type": Example("400 BadRequest", "GET", "/users?$filter=employeeLeaveDateTime ge '2030-01-01'"),
    "filter-operator": Example(
        "400 Request_UnsupportedQuery", "GET", "/users?$filter=employeeLeaveDateTime gt 2030-01-01T00:00:00Z"
    ),
    "filter-unsupported": Example("400 Request_UnsupportedQuery", "GET", "/users?$filter=aboutMe eq 'x'"),
    "filter-clauses": Example(
        "400 Request_UnsupportedQuery", "GET", f"/users?$filter=id in ({','.join(['%27a%27'] * 16)})"
    ),
    "advanced-query": Example("400 Request_UnsupportedQuery", "GET", "/users?$filter=department ne 'x'"),
    "top": Example("400 Request_UnsupportedQuery", "GET", "/users?$top=1000"),
    "count": Example("400 BadRequest", "GET", "/users?$count=yes"),
    "skiptoken": Example("400 Directory_ExpiredPageToken", "GET", "/users?$skiptoken=gone"),
    # bodies
    "body-json": Example("400 BadRequest", "PATCH", user("plain"), raw=b"{"),
    "body-unexpected": Example("400 BadRequest", "POST", f"{user('plain')}/revokeSignInSessions", {"x": 1}),
    "body-size": Example("413 RequestEntityTooLarge", "PATCH", user("plain"), raw=b" " * (4 * 1024 * 1024 + 1)),
    "property-name": Example("400 Request_BadRequest", "PATCH", user("plain"), {"shoeSize": 44}),
    "property-read-only": Example(
        "400 Request_BadRequest", "PATCH", user("plain"), {"signInSessionsValidFromDateTime": "2030-01-01T00:00:00Z"}
    ),
    "property-value": Example("400 Request_BadRequest", "PATCH", user("plain"), {"accountEnabled": "no"}),
    "property-required": Example("400 Request_BadRequest", "POST", "/users", {"displayName": "New"}),
    "reference": Example("400 BadRequest", "POST", f"/groups/{key('gassigned')}/members/$ref", {"@odata.id": "x"}),
    "ids-too-many": Example(
        "400 Request_BadRequest", "POST", "/directoryObjects/getByIds", {"ids": [NOBODY] * 1001, "types": ["user"]}
    ),
    # batches
    "batch-requests": Example("400 BadRequest", "POST", "/$batch", {"requests": []}),
    "batch-too-many": Example("400 BadRequest", "POST", "/$batch", batch(*(one(id=str(at)) for at in range(21)))),
    "batch-ids": Example("400 BadRequest", "POST", "/$batch", batch(one(), one())),
    "batch-depends": Example("400 BadRequest", "POST", "/$batch", batch(one(dependsOn=["7"]))),
    "batch-content-type": Example(
        "400 BadRequest", "POST", "/$batch", batch(one(method="PATCH", url=user("plain"), body={}))
    ),
    "batch-dependency-failed": Example(
        "424 FailedDependency", "POST", "/$batch", batch(one(url="/users/none"), one(id="2", dependsOn=["1"]))
    ),
    "throttled": Example("429 TooManyRequests", "GET", "/users"),
    # people
    "sensitive-change": Example("403 Authorization_RequestDenied", "PATCH", user("admin"), {"accountEnabled": False}),
    "sensitive-delete": Example("403 Authorization_RequestDenied", "DELETE", user("keeper")),
    "sensitive-method": Example(
        "403 accessDenied", "DELETE", f"{user('admin')}/authentication/softwareOathMethods/{key('oath')}"
    ),
    "restricted-unit-user": Example(
        "403 Authorization_RequestDenied", "PATCH", user("shielded"), {"accountEnabled": False}
    ),
    "restricted-unit-group": Example("403 Authorization_RequestDenied", "DELETE", seat("vault", "plain")),
    "synced-user": Example("400 Request_BadRequest", "PATCH", user("synced"), {"accountEnabled": False}),
    "name-taken": Example(
        "400 Request_BadRequest", "POST", "/users", {**NEW_USER, "userPrincipalName": "Plain@m.example"}
    ),
    "employee-id-too-long": Example("400 Request_BadRequest", "PATCH", user("plain"), {"employeeId": "x" * 17}),
    # groups
    "role-assignable-group": Example(
        "403 Authorization_RequestDenied",
        "DELETE",
        seat("grole-assignable", "keeper"),
        without="RoleManagement.ReadWrite.Directory",
    ),
    "synced-group": Example("400 Request_BadRequest", "DELETE", seat("gsynced", "plain")),
    "mail-enabled-group": Example("400 Request_BadRequest", "DELETE", seat("gmail-enabled", "plain")),
    "dynamic-group": Example("400 Request_BadRequest", "DELETE", seat("gdynamic", "plain")),
    "not-a-member": Example("404 Request_ResourceNotFound", "DELETE", seat("gassigned", "other")),
    "already-a-member": Example(
        "400 Request_BadRequest", "POST", f"/groups/{key('gassigned')}/members/$ref", reference("plain")
    ),
    "last-owner": Example("400 Request_BadRequest", "DELETE", seat("gassigned", "other", "owners"), grant=OWNERS),
    "pass-lifetime": Example(
        "400 invalidRequest",
        "POST",
        f"{user('plain')}/authentication/temporaryAccessPassMethods",
        {"lifetimeInMinutes": 5},
    ),
    # Privileged Identity Management
    "pim-filter": Example("400 InvalidFilter", "GET", f"{PIM}/eligibilitySchedules"),
    "pim-lookup-not-onboarded": Example(
        "400 ResourceNotOnboarded", "GET", f"{PIM}/assignmentSchedules?$filter=groupId eq '{key('gassigned')}'"
    ),
    "pim-group-absent": Example(
        "404 ResourceNotFound",
        "POST",
        f"{PIM}/eligibilityScheduleRequests",
        remove(principalId=key("plain"), groupId=NOBODY, accessId="member"),
    ),
    "pim-not-onboarded": Example(
        "400 ResourceNotOnboarded",
        "POST",
        f"{PIM}/eligibilityScheduleRequests",
        remove(principalId=key("plain"), groupId=key("gassigned"), accessId="member"),
    ),
    "pim-too-young": Example(
        "400 ActiveDurationTooShort",
        "POST",
        f"{PIM}/assignmentScheduleRequests",
        remove(principalId=key("fresh"), groupId=key("duty"), accessId="member"),
    ),
    "pim-absent": Example(
        "400 RoleAssignmentDoesNotExist",
        "POST",
        f"{ROLE}/roleEligibilityScheduleRequests",
        remove(principalId=key("plain"), roleDefinitionId=READER, directoryScopeId="/"),
    ),
    "pim-present": Example(
        "400 RoleAssignmentExists",
        "POST",
        f"{ROLE}/roleAssignmentScheduleRequests",
        {"action": "adminAssign", "principalId": key("admin"), "roleDefinitionId": READER, "directoryScopeId": "/"},
    ),
    "pim-action": Example(
        "400 InvalidRequestType",
        "POST",
        f"{ROLE}/roleAssignmentScheduleRequests",
        {"action": "selfActivate", "principalId": key("admin"), "roleDefinitionId": READER, "directoryScopeId": "/"},
    ),
    # packages
    "package-assignment-absent": Example(
        "404 ResourceNotFound",
        "POST",
        f"{EM}/assignmentRequests",
        {"requestType": "adminRemove", "assignment": {"id": NOBODY}},
    ),
    "package-request-open": Example("400 ExistingOpenRequest", "POST", f"{EM}/assignmentRequests"),
    "package-assigned": Example(
        "400 ExistingAssignment",
        "POST",
        f"{EM}/assignmentRequests",
        {"requestType": "adminAdd", "assignment": {"targetId": key("plain"), "accessPackageId": key("pack")}},
    ),
}


async def ask(graph: Graph, name: str) -> Reply:
    """Send an example; a few need something to happen first."""
    example = EXAMPLES[name]
    body = example.body
    held = {*graph.world.applications["jml"].grants["mssp"], example.grant} - {example.without}
    token = example.token
    if token is None:
        token = graph.token("mssp", sorted(held), **(example.claims or {}))
    if name == "throttled":
        await graph.get("mssp", "/users")
    if name == "package-request-open":
        held_package = graph.service.state()["mssp"]["accessPackageAssignments"][0]["id"]
        body = {"requestType": "adminRemove", "assignment": {"id": held_package}}
        assert (await graph.post("mssp", example.path, body)).status == 201
    if example.raw is not None:
        return await graph.raw(example.method, example.path, token, example.raw)
    path = f"{graph.server.make_url(example.url)}" if example.url else example.path
    return await graph.call(example.method, "mssp", path, body, token=token, headers=example.headers)


def test_every_refusal_has_an_example_and_a_source() -> None:
    assert set(EXAMPLES) == {row.name for row in REFUSALS}
    assert len(BY_NAME) == len(REFUSALS)
    assert all(row.source for row in REFUSALS)


@pytest.mark.parametrize("name", EXAMPLES)
async def test_graph_refuses(serving: Serve, name: str) -> None:
    data = world()
    data["settings"] = {"delivery_ms": 60_000, "throttle_scale": 0.0001 if name == "throttled" else 1}
    reply = await ask(await serving(data), name)
    error = reply.body["error"] if "error" in reply.body else failed(reply.body["responses"])
    status = 424 if name == "batch-dependency-failed" else reply.status
    assert f"{status} {error['code']}" == EXAMPLES[name].answer
    assert re.fullmatch(pattern(BY_NAME[name].message), error["message"])
    assert set(error["innerError"]) == {"date", "request-id", "client-request-id"}


def failed(responses: list[dict[str, Any]]) -> Any:
    return next(one["body"]["error"] for one in responses if one["status"] == 424)


def pattern(message: str) -> str:
    """A message with what is filled in left open."""
    return re.sub(r"\\\{\w+\\\}", ".*", re.escape(message))


PERMITTED = {
    # What stands right beside a refusal and is taken: each shows that its refusal refuses no more than that.
    "a plain account is disabled": Example("204", "PATCH", user("plain"), {"accountEnabled": False}),
    "a privileged account's name is changed": Example("204", "PATCH", user("admin"), {"jobTitle": "x"}),
    "sessions of a privileged account are revoked": Example("200", "POST", f"{user('admin')}/revokeSignInSessions"),
    "a plain account is deleted": Example("204", "DELETE", user("plain")),
    "an assigned group is left": Example("204", "DELETE", seat("gassigned", "plain")),
    "a role-assignable group is left": Example("204", "DELETE", seat("grole-assignable", "keeper")),
    "an owner of two goes": Example("204", "DELETE", seat("grole-assignable", "other", "owners"), grant=OWNERS),
    "a cloud-side property of a synced user": Example("204", "PATCH", user("synced"), {"usageLocation": "FI"}),
    "fifteen ids": Example("200", "GET", f"/users?$filter=id in ({','.join(['%27a%27'] * 15)})"),
    "a thousand ids": Example("200", "POST", "/directoryObjects/getByIds", {"ids": [NOBODY] * 1000}),
    "an advanced query": Example(
        "200", "GET", "/users?$filter=department ne 'x'&$count=true", headers={"ConsistencyLevel": "eventual"}
    ),
    "an old activation ends": Example(
        "201",
        "POST",
        f"{PIM}/assignmentScheduleRequests",
        remove(principalId=key("other"), groupId=key("duty"), accessId="member"),
    ),
    "a new user": Example("201", "POST", "/users", NEW_USER),
    "a new member": Example("204", "POST", f"/groups/{key('gassigned')}/members/$ref", reference("other")),
}


@pytest.mark.parametrize("name", PERMITTED)
async def test_graph_takes(serving: Serve, name: str) -> None:
    graph = await serving(world())
    example = PERMITTED[name]
    held = sorted({*graph.world.applications["jml"].grants["mssp"], example.grant})
    reply = await graph.call(
        example.method, "mssp", example.path, example.body, permissions=held, headers=example.headers
    )
    assert str(reply.status) == example.answer, reply.body


@pytest.mark.parametrize("name", ["sensitive-change", "sensitive-delete", "sensitive-method"])
async def test_a_privileged_account_yields_to_an_app_that_holds_the_role(serving: Serve, name: str) -> None:
    data = world()
    role = "Privileged Authentication Administrator"
    data["applications"] = {"jml": {"directory_roles": {"mssp": [role]}}}
    assert (await ask(await serving(data), name)).status == 204


@pytest.mark.parametrize("name", ["restricted-unit-user", "restricted-unit-group"])
async def test_a_restricted_unit_yields_to_an_app_with_a_role_at_its_scope(serving: Serve, name: str) -> None:
    data = world()
    unit = data["tenants"]["mssp"]["administrative_units"][0]
    unit["scoped_roles"] = [{"role": "User Administrator", "principal": "jml"}]
    data["applications"] = {"jml": {}}
    assert (await ask(await serving(data), name)).status == 204
