"""What each step asks of Graph, which permission that needs, and what an answer means for the step.

Sources: Microsoft Graph v1.0 reference of each call; the permissions are the least privileged ones documented.
"""

from __future__ import annotations

from typing import assert_never
from urllib.parse import quote

from jml.permissions import PRIVILEGED_ROLE
from jml.steps import (
    DeleteAccount,
    DisableAccount,
    EndGroupAssignment,
    EndGroupEligibility,
    EndPackage,
    EndRoleAssignment,
    EndRoleEligibility,
    LeaveGroup,
    LeaverStep,
    MarkAccount,
    RemoveAppRole,
    RemoveMethod,
    RemoveRoleAssignment,
    RevokeGrant,
    RevokeSessions,
)
from shared.plan import Attempt, Result
from shared.ports import Call, Reply
from shared.replies import TRANSIENT, describe

_PIM_GROUPS = "/identityGovernance/privilegedAccess/group"
_PIM_ROLES = "/roleManagement/directory"
PACKAGE_REQUESTS = "/identityGovernance/entitlementManagement/assignmentRequests"
WHY = "The person has left"
"""The justification that PIM keeps: no names."""


def request(step: LeaverStep) -> Call:  # noqa: C901, PLR0911, PLR0912 - a table, closed by assert_never
    """The one call that carries the step out."""
    user = f"/users/{quote(step.account, safe='')}"
    match step:
        case DisableAccount():
            return Call("PATCH", user, {"accountEnabled": False})
        case RevokeSessions():
            return Call("POST", f"{user}/revokeSignInSessions", {})
        case EndGroupAssignment(account, group, access):
            return Call("POST", f"{_PIM_GROUPS}/assignmentScheduleRequests", _end_group(account, group, access))
        case EndGroupEligibility(account, group, access):
            return Call("POST", f"{_PIM_GROUPS}/eligibilityScheduleRequests", _end_group(account, group, access))
        case EndRoleAssignment(account, role, scope):
            return Call("POST", f"{_PIM_ROLES}/roleAssignmentScheduleRequests", _end_role(account, role, scope))
        case EndRoleEligibility(account, role, scope):
            return Call("POST", f"{_PIM_ROLES}/roleEligibilityScheduleRequests", _end_role(account, role, scope))
        case RemoveRoleAssignment(_, assignment):
            return Call("DELETE", f"{_PIM_ROLES}/roleAssignments/{quote(assignment, safe='')}")
        case LeaveGroup(account, group):
            return Call("DELETE", f"/groups/{quote(group, safe='')}/members/{quote(account, safe='')}/$ref")
        case EndPackage(_, assignment):
            return Call("POST", PACKAGE_REQUESTS, {"requestType": "adminRemove", "assignment": {"id": assignment}})
        case RemoveAppRole(_, assignment):
            return Call("DELETE", f"{user}/appRoleAssignments/{quote(assignment, safe='')}")
        case RevokeGrant(_, grant):
            return Call("DELETE", f"/oauth2PermissionGrants/{quote(grant, safe='')}")
        case RemoveMethod(_, collection, method, _):
            return Call("DELETE", f"{user}/authentication/{collection}/{quote(method, safe='')}")
        case MarkAccount(_, attribute, until):
            return Call("PATCH", user, {"onPremisesExtensionAttributes": {attribute: until}})
        case DeleteAccount():
            return Call("DELETE", user)
        case _:
            assert_never(step)


def _end_group(account: str, group: str, access: str) -> dict[str, str]:
    return {
        "accessId": access,
        "principalId": account,
        "groupId": group,
        "action": "adminRemove",
        "justification": WHY,
    }


def _end_role(account: str, role: str, scope: str) -> dict[str, str]:
    return {
        "action": "adminRemove",
        "roleDefinitionId": role,
        "directoryScopeId": scope,
        "principalId": account,
        "justification": WHY,
    }


NEEDS: dict[type[LeaverStep], str] = {
    DisableAccount: f"User.EnableDisableAccount.All (for a privileged account also the Entra role {PRIVILEGED_ROLE})",
    RevokeSessions: "User.RevokeSessions.All",
    EndGroupAssignment: "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup",
    EndGroupEligibility: "PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup",
    EndRoleAssignment: "RoleManagement.ReadWrite.Directory",
    EndRoleEligibility: "RoleManagement.ReadWrite.Directory",
    RemoveRoleAssignment: "RoleManagement.ReadWrite.Directory",
    LeaveGroup: "GroupMember.ReadWrite.All (for a role-assignable group also RoleManagement.ReadWrite.Directory)",
    EndPackage: "EntitlementManagement.ReadWrite.All",
    RemoveAppRole: "AppRoleAssignment.ReadWrite.All",
    RevokeGrant: "DelegatedPermissionGrant.ReadWrite.All",
    RemoveMethod: (
        f"UserAuthenticationMethod.ReadWrite.All (for a privileged account also the Entra role {PRIVILEGED_ROLE})"
    ),
    MarkAccount: "User.ReadWrite.All",
    DeleteAccount: f"User.DeleteRestore.All (for a privileged account also the Entra role {PRIVILEGED_ROLE})",
}
"""What a 403 is cured by, by step."""

LOOK_AGAIN = frozenset({404, 409})
"""Statuses that may mean that it is so already: the next reading decides."""

LOOK_AGAIN_CODES = frozenset({"RoleAssignmentDoesNotExist", "ExistingOpenRequest"})
"""Error codes of a 400 that have been seen on removals that worked, or that are under way."""

TOO_YOUNG = "ActiveDurationTooShort"
"""PIM does not end an assignment in its first five minutes."""


def judge_reply(step: LeaverStep, reply: Reply) -> Attempt:
    """What an answer means for the step. Whatever it says, only the next reading verifies."""
    if reply.ok:
        reference = str(reply.body.get("id", "")) if isinstance(step, EndPackage) else ""
        return Attempt(Result.SENT, "", reply.request_id, reply.status, reference=reference)
    reason = describe(reply)
    if reply.status in TRANSIENT or reply.status == 401 or reply.code == TOO_YOUNG:
        wait = max(reply.retry_after, 300.0 if reply.code == TOO_YOUNG else 0.0)
        return Attempt(Result.WAITING, reason, reply.request_id, reply.status, wait)
    if reply.status in LOOK_AGAIN or reply.code in LOOK_AGAIN_CODES:
        return Attempt(Result.SENT, reason, reply.request_id, reply.status)
    if reply.status == 403:
        return Attempt(Result.BLOCKED, f"{reason}; needs {NEEDS[type(step)]}", reply.request_id, reply.status)
    return Attempt(Result.REFUSED, reason, reply.request_id, reply.status)
