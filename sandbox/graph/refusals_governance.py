"""What Graph refuses of role assignments, Privileged Identity Management and entitlement management."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sandbox.graph.refusal import Refusal

if TYPE_CHECKING:
    from sandbox.graph.calls import Call
    from sandbox.graph.store import Row

MINIMUM_ACTIVE_S = 300
OPEN_STATES = ("submitted", "pendingApproval", "delivering", "scheduled")

_PIM = "identityGovernance/privilegedAccess/group"
_GROUP_READS = tuple(
    f"GET {_PIM}/{kind}{form}" for kind in ("eligibility", "assignment") for form in ("Schedules", "ScheduleInstances")
)
_GROUP_ELIGIBILITY = f"POST {_PIM}/eligibilityScheduleRequests"
_GROUP_ASSIGNMENT = f"POST {_PIM}/assignmentScheduleRequests"
_GROUP_REQUESTS = (_GROUP_ELIGIBILITY, _GROUP_ASSIGNMENT)
_ROLE_ELIGIBILITY = "POST roleManagement/directory/roleEligibilityScheduleRequests"
_ROLE_ASSIGNMENT = "POST roleManagement/directory/roleAssignmentScheduleRequests"
_ROLE_REQUESTS = (_ROLE_ELIGIBILITY, _ROLE_ASSIGNMENT)
_PACKAGE_REQUESTS = ("POST identityGovernance/entitlementManagement/assignmentRequests",)


def schedule_for(call: Call) -> Row | None:
    """The schedule that a PIM request is about: same principal, and same group and access, or role and scope."""
    body = call.body
    kind = "Eligibility" if "ligibility" in call.asked.path else "Assignment"
    table = call.directory[f"{'group' if 'groupId' in body else 'role'}{kind}Schedules"]
    keys = ("groupId", "accessId") if "groupId" in body else ("roleDefinitionId", "directoryScopeId")
    candidates = table.where("principalId", str(body.get("principalId")))
    return next((row for row in candidates if all(row[key] == body.get(key) for key in keys)), None)


def _removes(call: Call) -> bool:
    return call.body.get("action") == "adminRemove"


def _too_young(call: Call) -> bool:
    schedule = schedule_for(call) if _removes(call) else None
    if schedule is None:
        return False
    started = datetime.fromisoformat(schedule["createdDateTime"]).timestamp()
    return call.directory.now() - started < MINIMUM_ACTIVE_S


def _unknown_filter(call: Call) -> bool:
    """PIM for groups lists nothing without a principal or a group to look for."""
    return not {one.path for one in call.query.comparisons} & {("principalId",), ("groupId",)}


def _group_is_absent(call: Call) -> bool:
    return call.directory["groups"].get(str(call.body.get("groupId"))) is None


def _not_onboarded(call: Call) -> bool:
    group = call.directory["groups"].get(str(call.body.get("groupId")))
    return group is not None and not group.get("_pim")


def _lookup_not_onboarded(call: Call) -> bool:
    wanted = (one.literals[0].value for one in call.query.comparisons if one.path == ("groupId",))
    groups = (call.directory["groups"].get(str(key)) for key in wanted)
    return any(group is None or not group.get("_pim") for group in groups)


def _open_request(call: Call) -> bool:
    wanted = str((call.body.get("assignment") or {}).get("id"))
    requests = call.directory["accessPackageAssignmentRequests"].where("_assignment", wanted)
    return call.body.get("requestType") == "adminRemove" and any(r["state"] in OPEN_STATES for r in requests)


def _no_assignment(call: Call) -> bool:
    wanted = str((call.body.get("assignment") or {}).get("id"))
    row = call.directory["accessPackageAssignments"].get(wanted)
    return call.body.get("requestType") == "adminRemove" and (row is None or row["state"] == "expired")


def _already_assigned(call: Call) -> bool:
    asked = call.body.get("assignment") or {}
    held = call.directory["accessPackageAssignments"].where("_target", str(asked.get("targetId")))
    return call.body.get("requestType") == "adminAdd" and any(
        row["accessPackage"]["id"] == asked.get("accessPackageId") and row["state"] != "expired" for row in held
    )


GOVERNANCE: tuple[Refusal, ...] = (
    Refusal(
        "pim-filter",
        400,
        "InvalidFilter",
        "The request must filter on principalId or groupId.",
        "learn api/privilegedaccessgroup-list-eligibilityschedules ($filter is required; the code is not documented)",
        on=_GROUP_READS,
        when=_unknown_filter,
    ),
    Refusal(
        "pim-lookup-not-onboarded",
        400,
        "ResourceNotOnboarded",
        "The group is not onboarded to Privileged Identity Management.",
        "facts 3 (the code is not documented)",
        on=_GROUP_READS,
        when=_lookup_not_onboarded,
    ),
    Refusal(
        "pim-group-absent",
        404,
        "ResourceNotFound",
        "The group is not found.",
        "common",
        on=_GROUP_REQUESTS,
        when=_group_is_absent,
    ),
    Refusal(
        "pim-not-onboarded",
        400,
        "ResourceNotOnboarded",
        "The group is not onboarded to Privileged Identity Management.",
        "facts 3 (the code is not documented)",
        on=_GROUP_REQUESTS,
        when=_not_onboarded,
    ),
    Refusal(
        "pim-too-young",
        400,
        "ActiveDurationTooShort",
        "The Active duration is too short. Minimum Required is 5 minutes.",
        "facts 3; common",
        on=(_GROUP_ASSIGNMENT, _ROLE_ASSIGNMENT),
        when=_too_young,
    ),
    Refusal(
        "pim-absent",
        400,
        "RoleAssignmentDoesNotExist",
        "The Role assignment does not exist.",
        "facts 3",
        on=(*_GROUP_REQUESTS, *_ROLE_REQUESTS),
        when=lambda call: _removes(call) and schedule_for(call) is None,
    ),
    Refusal(
        "pim-present",
        400,
        "RoleAssignmentExists",
        "The Role assignment already exists.",
        "common",
        on=(*_GROUP_REQUESTS, *_ROLE_REQUESTS),
        when=lambda call: call.body.get("action") == "adminAssign" and schedule_for(call) is not None,
    ),
    Refusal(
        "pim-action",
        400,
        "InvalidRequestType",
        "The action is not one that an application may request here.",
        "learn api/privilegedaccessgroup-post-assignmentschedulerequests",
        on=(*_GROUP_REQUESTS, *_ROLE_REQUESTS),
        when=lambda call: call.body.get("action") not in ("adminRemove", "adminAssign"),
    ),
    Refusal(
        "package-assignment-absent",
        404,
        "ResourceNotFound",
        "The access package assignment does not exist.",
        "learn api/entitlementmanagement-post-assignmentrequests; common",
        on=_PACKAGE_REQUESTS,
        when=_no_assignment,
    ),
    Refusal(
        "package-request-open",
        400,
        "ExistingOpenRequest",
        "There is already an open request for this assignment.",
        "learn api/entitlementmanagement-post-assignmentrequests; common",
        on=_PACKAGE_REQUESTS,
        when=_open_request,
    ),
    Refusal(
        "package-assigned",
        400,
        "ExistingAssignment",
        "The subject already has an assignment to the access package.",
        "learn api/entitlementmanagement-post-assignmentrequests; common",
        on=_PACKAGE_REQUESTS,
        when=_already_assigned,
    ),
)
