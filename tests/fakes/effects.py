"""Whether what the evidence says of a step is so in the directory: a judge beside the app's own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Doc = Mapping[str, Any]


def _without(kind: str, **facts: str) -> Callable[[Doc, Doc], bool]:
    """Nothing of this kind of the account has these values, which the step names."""

    def is_so(step: Doc, state: Doc) -> bool:
        wanted = {"principalId": step["account"], **{name: step[fact] for name, fact in facts.items()}}
        return not any(all(one.get(name) == value for name, value in wanted.items()) for one in state[kind])

    return is_so


def _user(step: Doc, state: Doc) -> Doc | None:
    return next((one for one in state["users"] if one["id"] == step["account"]), None)


def _disabled(step: Doc, state: Doc) -> bool:
    user = _user(step, state)
    return user is None or user["accountEnabled"] is False


def _revoked(step: Doc, state: Doc) -> bool:
    user = _user(step, state)
    return user is None or str(user["signInSessionsValidFromDateTime"] or "") > str(
        step["before"].get("signInSessionsValidFrom", "")
    )


def _outside(step: Doc, state: Doc) -> bool:
    return not any(group["id"] == step["group"] and step["account"] in group["members"] for group in state["groups"])


def _marked(step: Doc, state: Doc) -> bool:
    """Kept until then, or longer: a later run may have moved the end of the retention on."""
    user = _user(step, state)
    return (
        user is None or str((user.get("onPremisesExtensionAttributes") or {}).get(step["attribute"])) >= step["until"]
    )


IS_SO: dict[str, Callable[[Doc, Doc], bool]] = {
    "DisableAccount": _disabled,
    "RevokeSessions": _revoked,
    "EndGroupAssignment": _without("groupAssignmentSchedules", groupId="group", accessId="access"),
    "EndGroupEligibility": _without("groupEligibilitySchedules", groupId="group", accessId="access"),
    "EndRoleAssignment": _without("roleAssignmentSchedules", roleDefinitionId="role", directoryScopeId="scope"),
    "EndRoleEligibility": _without("roleEligibilitySchedules", roleDefinitionId="role", directoryScopeId="scope"),
    "RemoveRoleAssignment": _without("roleAssignments", id="assignment"),
    "LeaveGroup": _outside,
    "EndPackage": lambda step, state: all(one["id"] != step["assignment"] for one in state["accessPackageAssignments"]),
    "RemoveAppRole": _without("appRoleAssignments", id="assignment"),
    "RevokeGrant": _without("oauth2PermissionGrants", id="grant"),
    "RemoveMethod": lambda step, state: all(
        one["id"] != step["method"] for one in state["authenticationMethods"].get(step["account"], ())
    ),
    "MarkAccount": _marked,
    "DeleteAccount": lambda step, state: _user(step, state) is None,
}
"""Kind of step → whether its effect is there."""


def false_claims(evidence: Doc, state: Doc) -> list[str]:
    """Steps that the evidence calls verified and the directory does not show."""
    return [
        f"{step['kind']} of {step['account']}"
        for step in evidence["steps"]
        if step["result"] == "verified" and not IS_SO[step["kind"]](step, state)
    ]
