"""What each step asks of Graph, which permission that needs, and what an answer means for the step.

Sources: Microsoft Graph v1.0 reference of each call; the permissions are the least privileged ones documented.
"""

from __future__ import annotations

from dataclasses import dataclass
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

TOO_YOUNG = "ActiveDurationTooShort"
"""PIM does not end an assignment in its first five minutes."""


@dataclass(frozen=True)
class Meaning:
    """What an answer of one of these statuses, or with one of these error codes, says of a step.

    `wait`: seconds before the step is sent again, at least.
    """

    result: Result
    statuses: frozenset[int] = frozenset()
    codes: frozenset[str] = frozenset()
    wait: float = 0.0

    def fits(self, reply: Reply) -> bool:
        return reply.status in self.statuses or reply.code in self.codes


MEANINGS: tuple[Meaning, ...] = (
    Meaning(Result.WAITING, codes=frozenset({TOO_YOUNG}), wait=300.0),
    Meaning(Result.WAITING, statuses=TRANSIENT | {401}),  # a token that is refused now is another one later
    Meaning(  # it may be so already, or be under way: the next reading decides
        Result.SENT,
        statuses=frozenset({404, 409}),
        codes=frozenset({"RoleAssignmentDoesNotExist", "ExistingOpenRequest"}),
    ),
    Meaning(Result.BLOCKED, statuses=frozenset({403})),
)
"""The first that fits decides; an answer that none fits is a refusal. docs/outcomes.md is made from this table."""

REFUSAL = Meaning(Result.REFUSED)


def judge_reply(step: LeaverStep, reply: Reply) -> Attempt:
    """What an answer means for the step. Whatever it says, only the next reading verifies."""
    if reply.ok:
        reference = str(reply.body.get("id", "")) if isinstance(step, EndPackage) else ""
        return Attempt(Result.SENT, "", reply.request_id, reply.status, reference=reference)
    meaning = next((one for one in MEANINGS if one.fits(reply)), REFUSAL)
    reason = describe(reply)
    if meaning.result is Result.BLOCKED:
        reason = f"{reason}; needs {NEEDS[type(step)]}"
    wait = max(reply.retry_after, meaning.wait) if meaning.result is Result.WAITING else 0.0
    return Attempt(meaning.result, reason, reply.request_id, reply.status, wait)
