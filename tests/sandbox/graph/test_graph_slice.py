"""The way of a leaver through the sandbox's Graph, over HTTP, with the permissions that the app asks for."""

from __future__ import annotations

from tests.sandbox.graph.client import EVENTUAL, Graph

LEAVER = "soc-4f2a@soc.contoso.example"
PIM = "/identityGovernance/privilegedAccess/group"
JSON = {"Content-Type": "application/json"}


async def test_a_user_is_read_with_the_default_properties(graph: Graph) -> None:
    reply = await graph.get("corporate", "/users/alexw@contoso.example")
    assert reply.status == 200
    assert reply.body["displayName"] == "Alex Wilber"
    assert "accountEnabled" not in reply.body
    assert reply.headers["request-id"]


async def test_people_with_a_leave_date_are_found_by_filter(graph: Graph) -> None:
    reply = await graph.get(
        "corporate",
        "/users?$filter=employeeLeaveDateTime ge 2090-01-01T00:00:00Z and department eq 'Security Operations'"
        "&$select=id,employeeLeaveDateTime",
    )
    assert [one["employeeLeaveDateTime"] for one in reply.body["value"]] == [
        "2098-06-30T22:00:00Z",
        "2099-12-31T00:00:00Z",
    ]


async def test_an_account_is_contained_in_one_batch(graph: Graph) -> None:
    reply = await graph.batch(
        "mssp",
        [
            {"id": "1", "method": "PATCH", "url": f"/users/{LEAVER}", "body": {"accountEnabled": False},
             "headers": JSON},
            {"id": "2", "method": "POST", "url": f"users/{LEAVER}/revokeSignInSessions", "dependsOn": ["1"], "body": {},
             "headers": JSON},
        ],
    )  # fmt: skip
    assert {one["id"]: one["status"] for one in reply.body["responses"]} == {"1": 204, "2": 200}
    state = next(u for u in graph.service.state()["mssp"]["users"] if u["displayName"] == "soc-4f2a")
    assert state["accountEnabled"] is False
    assert state["signInSessionsValidFromDateTime"] > "2026"


async def test_memberships_show_groups_roles_and_units(graph: Graph) -> None:
    reply = await graph.get("mssp", f"/users/{LEAVER}/memberOf")
    kinds = {one["@odata.type"] for one in reply.body["value"]}
    assert kinds == {"#microsoft.graph.group", "#microsoft.graph.directoryRole"}
    cast = await graph.get("mssp", f"/users/{LEAVER}/memberOf/microsoft.graph.group?$count=true", headers=EVENTUAL)
    assert cast.body["@odata.count"] == 13


async def test_everything_of_the_leaver_can_be_listed(graph: Graph) -> None:
    key = graph.id("mssp", "users", "soc-4f2a")
    wanted = {
        f"/roleManagement/directory/roleAssignments?$filter=principalId eq '{key}'&$expand=roleDefinition": 1,
        f"/roleManagement/directory/roleEligibilitySchedules?$filter=principalId eq '{key}'": 1,
        f"/roleManagement/directory/roleAssignmentScheduleInstances?$filter=principalId eq '{key}'": 1,
        f"{PIM}/eligibilitySchedules?$filter=principalId eq '{key}'": 2,
        f"{PIM}/assignmentSchedules?$filter=principalId eq '{key}'": 1,
        f"/identityGovernance/entitlementManagement/assignments?$filter=target/objectId eq '{key}'"
        " and state eq 'delivered'&$expand=target,accessPackage": 2,
        f"/users/{key}/appRoleAssignments": 2,
        f"/users/{key}/oauth2PermissionGrants": 1,
        f"/oauth2PermissionGrants?$filter=principalId eq '{key}'": 1,
        f"/users/{key}/authentication/methods": 5,
        f"/users/{key}/authentication/phoneMethods": 1,
        f"/users/{key}/ownedObjects": 1,
        f"/users/{key}/registeredDevices": 1,
    }
    found = {}
    for path in wanted:
        reply = await graph.get("mssp", path)
        assert reply.status == 200, (path, reply.body)
        found[path] = len(reply.body["value"])
    assert found == wanted
