"""Users, groups, roles and what hangs on them, as a leaver's clean-up meets them."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import pytest

from sandbox.errors import GraphRefusal
from tests.sandbox.graph.client import Graph
from tests.sandbox.graph.conftest import Serve

MSSP = "mssp"
LEAVER = "soc-4f2a@soc.contoso.example"
ROLE = "/roleManagement/directory"
PIM = "/identityGovernance/privilegedAccess/group"


def tenant(graph: Graph, name: str = MSSP) -> dict[str, Any]:
    state: dict[str, Any] = graph.service.state()[name]
    return state


async def test_delete_of_a_member_without_ref_deletes_the_user(graph: Graph) -> None:
    """Facts, number 4."""
    user, group = graph.id(MSSP, "users", "soc-c5e8"), graph.id(MSSP, "groups", "Malware Lab")
    denied = await graph.delete(MSSP, f"/groups/{group}/members/{user}", permissions=["GroupMember.ReadWrite.All"])
    assert denied.status == 403
    assert (await graph.delete(MSSP, f"/groups/{group}/members/{user}")).status == 204
    assert user in [one["id"] for one in tenant(graph)["deletedUsers"]]


async def test_a_deleted_user_can_be_restored_and_then_be_gone_for_good(graph: Graph) -> None:
    user = graph.id(MSSP, "users", "soc-e60b")
    assert (await graph.delete(MSSP, f"/users/{user}")).status == 204
    assert (await graph.get(MSSP, f"/users/{user}")).status == 404
    groups = {one["displayName"]: one["members"] for one in tenant(graph)["groups"]}
    assert user not in groups["All SOC Accounts"]
    listed = await graph.get(MSSP, "/directory/deletedItems/microsoft.graph.user?$select=id,deletedDateTime")
    assert listed.body["value"][0]["deletedDateTime"] is not None
    found = await graph.get(MSSP, f"/directory/deletedItems/{user}")
    assert found.body["@odata.type"] == "#microsoft.graph.user"
    assert (await graph.post(MSSP, f"/directory/deletedItems/{user}/restore")).body["id"] == user
    assert (await graph.get(MSSP, "/users/soc-e60b@soc.contoso.example")).body["id"] == user
    await graph.delete(MSSP, f"/users/{user}")
    assert (await graph.delete(MSSP, f"/directory/deletedItems/{user}")).status == 204
    assert (await graph.get(MSSP, f"/directory/deletedItems/{user}")).status == 404


async def test_a_deleted_users_name_is_free_again(graph: Graph) -> None:
    user = graph.id(MSSP, "users", "soc-e60b")
    await graph.delete(MSSP, f"/users/{user}")
    body = {"accountEnabled": True, "displayName": "again", "mailNickname": "again",
            "userPrincipalName": "soc-e60b@soc.contoso.example", "passwordProfile": {"password": "x"}}  # fmt: skip
    made = await graph.post(MSSP, "/users", body)
    assert made.status == 201
    assert "passwordProfile" not in (await graph.get(MSSP, f"/users/{made.body['id']}")).body


async def test_revoking_moves_the_instant_from_which_sessions_are_valid(graph: Graph) -> None:
    reply = await graph.post(MSSP, f"/users/{LEAVER}/revokeSignInSessions")
    assert (reply.status, reply.body["value"]) == (200, True)
    shown = await graph.get(MSSP, f"/users/{LEAVER}?$select=signInSessionsValidFromDateTime")
    moved = datetime.fromisoformat(shown.body["signInSessionsValidFromDateTime"])
    assert abs(time.time() - moved.timestamp()) < 5  # noqa: TID251 - the service's own clock


async def test_leave_dates_come_back_in_utc(graph: Graph) -> None:
    path = "/users/nestorw@contoso.example?$select=employeeLeaveDateTime"
    assert (await graph.get("corporate", path)).body["employeeLeaveDateTime"] == "2098-01-31T16:00:00Z"


@pytest.mark.parametrize(
    ("given", "stored"),
    [("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"), ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
     ("2030-01-01T00:00:00.1234567Z", "2030-01-01T00:00:00Z"), ("2030-01-01T00:00:00", "2030-01-01T00:00:00Z"),
     (None, None)],
)  # fmt: skip
async def test_hr_sets_a_leave_date(graph: Graph, given: str | None, stored: str | None) -> None:
    graph.service.patch_user("corporate", "alexw@contoso.example", {"employeeLeaveDateTime": given})
    path = "/users/alexw@contoso.example?$select=employeeLeaveDateTime"
    assert (await graph.get("corporate", path)).body["employeeLeaveDateTime"] == stored


@pytest.mark.parametrize(
    ("who", "body", "status"),
    [("alexw@contoso.example", {"employeeLeaveDate": None}, 400), ("nobody", {}, 404),
     ("alexw@contoso.example", {"employeeLeaveDateTime": "soon"}, 400),
     ("alexw@contoso.example", {"employeeLeaveDateTime": "2030-01-01"}, 400),
     ("alexw@contoso.example", {"employeeLeaveDateTime": "0001-01-01T00:00:00+05:00"}, 400),
     ("alexw@contoso.example", ["no object"], 400)],
)  # fmt: skip
async def test_hrs_mistakes_are_refused(graph: Graph, who: str, body: Any, status: int) -> None:
    with pytest.raises(GraphRefusal) as caught:
        graph.service.patch_user("corporate", who, body)
    assert caught.value.status == status


async def test_an_unknown_tenant_of_hr_is_refused(graph: Graph) -> None:
    with pytest.raises(GraphRefusal):
        graph.service.patch_user("nowhere", "x", {})


async def test_an_activated_seat_ends_with_its_assignment(graph: Graph) -> None:
    user, group = graph.id(MSSP, "users", "soc-4f2a"), graph.id(MSSP, "groups", "Tier 2 On Duty")
    seats = {one["displayName"]: one["members"] for one in tenant(graph)["groups"]}
    assert user in seats["Tier 2 On Duty"]
    body = {"action": "adminRemove", "principalId": user, "groupId": group, "accessId": "member", "justification": "x"}
    reply = await graph.post(MSSP, f"{PIM}/assignmentScheduleRequests", body)
    assert (reply.status, reply.body["status"]) == (201, "Revoked")
    seats = {one["displayName"]: one["members"] for one in tenant(graph)["groups"]}
    assert user not in seats["Tier 2 On Duty"]


async def test_leaving_a_group_ends_the_activation_that_gave_the_seat(graph: Graph) -> None:
    user, group = graph.id(MSSP, "users", "soc-4f2a"), graph.id(MSSP, "groups", "Tier 2 On Duty")
    assert (await graph.delete(MSSP, f"/groups/{group}/members/{user}/$ref")).status == 204
    assert tenant(graph)["groupAssignmentSchedules"] == []


@pytest.mark.parametrize("kind", ["Eligibility", "Assignment"])
async def test_a_role_is_removed_by_request_wherever_it_shows(graph: Graph, kind: str) -> None:
    user = graph.id(MSSP, "users", "soc-4f2a")
    path = f"{ROLE}/role{kind}Schedules?$filter=principalId eq '{user}'"
    (schedule,) = (await graph.get(MSSP, path)).body["value"]
    body = {"action": "adminRemove", "principalId": user, "roleDefinitionId": schedule["roleDefinitionId"],
            "directoryScopeId": "/"}  # fmt: skip
    reply = await graph.post(MSSP, f"{ROLE}/role{kind}ScheduleRequests", body)
    assert (reply.status, reply.body["status"], reply.body["targetScheduleId"]) == (201, "Revoked", schedule["id"])
    assert (await graph.get(MSSP, path)).ids == []
    held = [one for one in tenant(graph)["roleAssignments"] if one["principalId"] == user]
    assert len(held) == (1 if kind == "Eligibility" else 0)


async def test_a_permanent_role_is_deleted_in_both_places(graph: Graph) -> None:
    user = graph.id(MSSP, "users", "soc-4f2a")
    query = f"$filter=principalId eq '{user}'"
    (key,) = (await graph.get(MSSP, f"{ROLE}/roleAssignments?{query}")).ids
    instances = await graph.get(MSSP, f"{ROLE}/roleAssignmentScheduleInstances?{query}")
    assert instances.body["value"][0]["roleAssignmentOriginId"] == key
    assert (await graph.delete(MSSP, f"{ROLE}/roleAssignments/{key}")).status == 204
    assert (await graph.get(MSSP, f"{ROLE}/roleAssignmentSchedules?{query}")).ids == []
    assert (await graph.delete(MSSP, f"{ROLE}/roleAssignments/{key}")).status == 404


@pytest.mark.parametrize("subject", ["role", "group"])
@pytest.mark.parametrize("kind", ["Eligibility", "Assignment"])
async def test_access_is_given_by_request(graph: Graph, subject: str, kind: str) -> None:
    user, group = graph.id(MSSP, "users", "soc-e60b"), graph.id(MSSP, "groups", "Tier 2 On Duty")
    role = {"roleDefinitionId": "5d6b6bb7-de71-4623-b4af-96380a352509", "directoryScopeId": "/"}
    what = role if subject == "role" else {"groupId": group, "accessId": "owner"}
    path = f"{ROLE}/role{kind}" if subject == "role" else f"{PIM}/{kind.lower()}"
    term = {"expiration": {"type": "afterDateTime", "endDateTime": "2090-01-01T00:00:00Z"}}
    body = {"action": "adminAssign", "principalId": user, "scheduleInfo": term, **what}
    assert (await graph.post(MSSP, f"{path}ScheduleRequests", body)).body["status"] == "Provisioned"
    shown = await graph.get(MSSP, f"{path}ScheduleInstances?$filter=principalId eq '{user}'")
    assert shown.body["value"][0]["endDateTime"] == "2090-01-01T00:00:00Z"
    requests = await graph.get(MSSP, f"{path}ScheduleRequests?$filter=principalId eq '{user}'")
    assert len(requests.ids) == 1


async def test_app_roles_grants_and_methods_are_removed_one_by_one(graph: Graph) -> None:
    user = graph.id(MSSP, "users", "soc-4f2a")
    for key in (await graph.get(MSSP, f"/users/{user}/appRoleAssignments")).ids:
        assert (await graph.delete(MSSP, f"/users/{user}/appRoleAssignments/{key}")).status == 204
        assert (await graph.delete(MSSP, f"/users/{user}/appRoleAssignments/{key}")).status == 404
    for key in (await graph.get(MSSP, f"/oauth2PermissionGrants?$filter=principalId eq '{user}'")).ids:
        assert (await graph.delete(MSSP, f"/oauth2PermissionGrants/{key}")).status == 204
    for kind in ("phoneMethods", "microsoftAuthenticatorMethods", "fido2Methods", "softwareOathMethods"):
        (key,) = (await graph.get(MSSP, f"/users/{user}/authentication/{kind}")).ids
        assert (await graph.delete(MSSP, f"/users/{user}/authentication/{kind}/{key}")).status == 204
    left = await graph.get(MSSP, f"/users/{user}/authentication/methods")
    assert [one["@odata.type"] for one in left.body["value"]] == ["#microsoft.graph.passwordAuthenticationMethod"]
    mine = [one for one in tenant(graph)["appRoleAssignments"] if one["principalId"] == user]
    assert mine == []


async def test_somebody_elses_app_role_is_not_found_under_a_user(graph: Graph) -> None:
    other = graph.id(MSSP, "users", "soc-91c7")
    (key,) = (await graph.get(MSSP, f"/users/{other}/appRoleAssignments")).ids
    assert (await graph.delete(MSSP, f"/users/{LEAVER}/appRoleAssignments/{key}")).status == 404


async def test_a_new_pass_replaces_the_old_one_and_shows_its_value_once(graph: Graph) -> None:
    path = "/users/soc-e60b@soc.contoso.example/authentication/temporaryAccessPassMethods"
    for _ in range(2):
        made = await graph.post(MSSP, path, {"lifetimeInMinutes": 60, "isUsableOnce": True})
        assert made.status == 201
        assert made.body["temporaryAccessPass"]
    listed = await graph.get(MSSP, path)
    assert [one["temporaryAccessPass"] for one in listed.body["value"]] == [None]


async def test_transitive_memberships_follow_groups_in_groups(serving: Serve, demo: dict[str, Any]) -> None:
    groups = demo["tenants"]["mssp"]["groups"]
    groups += [
        {"displayName": "Outer", "members": ["Sentinel Analysts"], "kind": "assigned"},
        {"displayName": "Outermost", "members": ["Outer"]},
    ]
    demo["tenants"]["mssp"]["role_assignments"].append({"principal": "Security Readers", "role": "Global Reader"})
    graph = await serving(demo)
    direct = await graph.get(MSSP, f"/users/{LEAVER}/memberOf?$select=id,displayName")
    all_of_them = await graph.get(MSSP, f"/users/{LEAVER}/transitiveMemberOf?$select=id,displayName")
    more = {one["displayName"] for one in all_of_them.body["value"]} - {
        one["displayName"] for one in direct.body["value"]
    }
    assert more == {"Outer", "Outermost", "Global Reader"}


async def test_transitive_members_are_each_there_once(serving: Serve, demo: dict[str, Any]) -> None:
    groups = demo["tenants"]["mssp"]["groups"]
    groups.append({"displayName": "Outer", "members": ["Malware Lab", "Incident Bridge", "soc-27af"]})
    groups.append({"displayName": "Round", "members": ["Outer", "Round"]})
    graph = await serving(demo)
    key = graph.id(MSSP, "groups", "Round")
    reply = await graph.get(MSSP, f"/groups/{key}/transitiveMembers?$select=id,displayName")
    names = sorted(one["displayName"] for one in reply.body["value"])
    assert names == ["Incident Bridge", "Malware Lab", "Outer", "Round", "soc-27af", "soc-4f2a", "soc-c5e8"]


async def test_a_mark_leaves_the_other_attributes_as_they_are(graph: Graph) -> None:
    path = f"/users/{graph.id(MSSP, 'users', 'soc-e60b')}"
    for name in ("extensionAttribute1", "extensionAttribute2"):
        await graph.patch(MSSP, path, {"onPremisesExtensionAttributes": {name: "x"}})
    await graph.patch(MSSP, path, {"employeeOrgData": {"division": "a", "costCenter": "b"}})
    await graph.patch(MSSP, path, {"employeeOrgData": {"division": "c"}})
    shown = await graph.get(MSSP, f"{path}?$select=onPremisesExtensionAttributes,employeeOrgData")
    assert shown.body["onPremisesExtensionAttributes"] == {"extensionAttribute1": "x", "extensionAttribute2": "x"}
    assert shown.body["employeeOrgData"] == {"division": "c"}


async def test_hr_deletes_a_person(graph: Graph) -> None:
    graph.service.delete_user("corporate", "meganb@contoso.example")
    deleted = tenant(graph, "corporate")["deletedUsers"]
    assert [one["displayName"] for one in deleted] == ["Megan Bowen"]


async def test_the_state_has_every_section_of_the_control_interface(graph: Graph) -> None:
    state = graph.service.state()
    assert set(state) == {"corporate", "mssp", "fabrikam"}
    assert set(state["mssp"]) >= {
        "id", "users", "deletedUsers", "groups", "roleAssignments", "roleEligibilitySchedules",
        "roleAssignmentSchedules", "groupEligibilitySchedules", "groupAssignmentSchedules",
        "accessPackageAssignments", "appRoleAssignments", "oauth2PermissionGrants", "authenticationMethods", "devices",
    }  # fmt: skip
    user = graph.id(MSSP, "users", "soc-4f2a")
    assert len(state["mssp"]["authenticationMethods"][user]) == 4
    assert not [name for row in state["mssp"]["users"] for name in row if name.startswith("_")]
