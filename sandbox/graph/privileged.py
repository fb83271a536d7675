"""Entra roles and Privileged Identity Management: assignments, schedules, their instances, and requests.

In a tenant with PIM an active role, whoever gave it, shows both in roleAssignments and in roleAssignmentSchedules;
a request `adminRemove` ends both. For groups an active assignment is a seat in the group while it lasts.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from sandbox.graph.calls import Answer, Call
from sandbox.graph.directory import Directory, text_of
from sandbox.graph.operations import Rows, table
from sandbox.graph.refusals import refuse
from sandbox.graph.refusals_governance import schedule_for
from sandbox.graph.replies import shown
from sandbox.graph.store import Row

SEATS = {"member": "members", "owner": "owners"}
_REQUIRED = {
    "role": ("action", "principalId", "roleDefinitionId", "directoryScopeId"),
    "group": ("action", "principalId", "groupId", "accessId"),
}


def _expiration(start: float, end: float | None) -> Row:
    if end is None:
        return {"startDateTime": text_of(start), "recurrence": None, "expiration": _never()}
    expiration = {"type": "afterDateTime", "endDateTime": text_of(end), "duration": None}
    return {"startDateTime": text_of(start), "recurrence": None, "expiration": expiration}


def _never() -> Row:
    return {"type": "noExpiration", "endDateTime": None, "duration": None}


def _schedule(key: str, principal: str, start: float, end: float | None) -> Row:
    return {
        "id": key,
        "principalId": principal,
        "createdDateTime": text_of(start),
        "modifiedDateTime": None,
        "createdUsing": key,
        "status": "Provisioned",
        "scheduleInfo": _expiration(start, end),
    }


# -- roles --------------------------------------------------------------------------------------------------------


def make_role_eligible(directory: Directory, principal: str, role: str, scope: str, start: float) -> None:
    key = str(uuid.uuid4())
    row = _schedule(key, principal, start, None)
    directory["roleEligibilitySchedules"].put(
        key, {**row, "roleDefinitionId": role, "directoryScopeId": scope, "memberType": "Direct"}
    )


def assign_role(
    directory: Directory, principal: str, role: str, scope: str, start: float, end: float | None = None
) -> None:
    """An active role: the assignment and its schedule, `Activated` where it ends by itself."""
    key = uuid.uuid4().hex
    scoped = {"roleDefinitionId": role, "directoryScopeId": scope}
    directory["roleAssignments"].put(key, {"id": key, "principalId": principal, **scoped})
    row = _schedule(key, principal, start, end)
    kind = "Assigned" if end is None else "Activated"
    directory["roleAssignmentSchedules"].put(key, {**row, **scoped, "assignmentType": kind, "memberType": "Direct"})
    if end is not None:
        directory.later(end, lambda: end_role(directory, key))


def end_role(directory: Directory, key: str) -> None:
    """An assignment and its schedule go together: they have one id."""
    directory["roleAssignments"].remove(key)
    directory["roleAssignmentSchedules"].remove(key)


def delete_role_assignment(call: Call) -> Answer:
    if call.row("roleAssignments", "assignment") is None:
        raise refuse("no-such-object", id=call.params["assignment"])
    end_role(call.directory, call.params["assignment"])
    return Answer(204)


# -- groups -------------------------------------------------------------------------------------------------------


def make_group_eligible(directory: Directory, principal: str, group: str, access: str, start: float) -> None:
    key = f"{group}_{access}_{uuid.uuid4()}"
    row = _schedule(key, principal, start, None)
    directory["groupEligibilitySchedules"].put(
        key, {**row, "groupId": group, "accessId": access, "memberType": "direct"}
    )


def activate_group(
    directory: Directory, principal: str, group: str, access: str, start: float, end: float | None = None
) -> None:
    """An active assignment: a seat in the group while it lasts."""
    key = f"{group}_{access}_{uuid.uuid4()}"
    row = {**_schedule(key, principal, start, end), "groupId": group, "accessId": access, "memberType": "direct"}
    kind = "assigned" if end is None else "activated"
    directory["groupAssignmentSchedules"].put(key, {**row, "assignmentType": kind})
    directory.link(SEATS[access], group, principal, via=key)
    if end is not None:
        directory.later(end, lambda: end_group(directory, key))


def end_group(directory: Directory, key: str) -> None:
    """The assignment ends, and the seat that it gave."""
    row = directory["groupAssignmentSchedules"].get(key)
    if row is not None:
        directory["groupAssignmentSchedules"].remove(key)
        link = directory.linked(SEATS[row["accessId"]], row["groupId"], row["principalId"])
        if link is not None and link["_via"] == key:
            directory.unlink(SEATS[row["accessId"]], row["groupId"], row["principalId"])


# -- instances ----------------------------------------------------------------------------------------------------


def instances(schedules: str) -> Rows:
    """The instance of each schedule that is in force now, as reads show them."""
    source = table(schedules)

    def rows(call: Call) -> Iterable[Row]:
        return (_instance(row, schedules) for row in source(call))

    return rows


def _instance(row: Row, schedules: str) -> Row:
    info = row["scheduleInfo"]
    found = {name: value for name, value in row.items() if name not in ("scheduleInfo", "status", "createdUsing")}
    found |= {"startDateTime": info["startDateTime"], "endDateTime": info["expiration"]["endDateTime"]}
    found[_SCHEDULE_ID[schedules]] = row["id"]
    if schedules == "roleAssignmentSchedules":
        found["roleAssignmentOriginId"] = row["id"]
    return found


_SCHEDULE_ID = {
    "roleEligibilitySchedules": "roleEligibilityScheduleId",
    "roleAssignmentSchedules": "roleAssignmentScheduleId",
    "groupEligibilitySchedules": "eligibilityScheduleId",
    "groupAssignmentSchedules": "assignmentScheduleId",
}


# -- requests -----------------------------------------------------------------------------------------------------


def request(subject: str, kind: str) -> Any:
    """POST of a schedule request: 201, and what it asked for is done."""
    requests = f"{subject}{kind}ScheduleRequests"

    def run(call: Call) -> Answer:
        removes = call.body["action"] == "adminRemove"
        schedule = schedule_for(call)
        if removes and schedule is not None:
            _END[subject, kind](call.directory, schedule["id"])
        else:
            _assign(call, subject, kind)
        row = _request_row(call, "Revoked" if removes else "Provisioned", schedule)
        call.directory[requests].put(row["id"], row)
        return Answer(201, shown(call.directory, row, call.entity, call.caller.permissions))

    return run


def require(subject: str) -> Any:
    """The properties without which a request says nothing; checked before the refusals look at them."""

    def check(body: Row) -> None:
        for name in _REQUIRED[subject]:
            if not body.get(name):
                raise refuse("property-required", name=name, entity=f"{subject} schedule request")

    return check


def _request_row(call: Call, status: str, schedule: Row | None) -> Row:
    now = text_of(call.directory.now())
    return {
        **call.body,
        "id": str(uuid.uuid4()),
        "status": status,
        "createdDateTime": now,
        "completedDateTime": now,
        "targetScheduleId": schedule["id"] if schedule else None,
        "createdBy": {"user": None, "application": {"id": call.caller.object_id, "displayName": None}},
    }


def _assign(call: Call, subject: str, kind: str) -> None:
    body, now = call.body, call.directory.now()
    if call.directory.object(body["principalId"]) is None:
        raise refuse("no-such-resource", id=body["principalId"])
    where = ("groupId", "accessId") if subject == "group" else ("roleDefinitionId", "directoryScopeId")
    _ASSIGN[subject, kind](call.directory, body["principalId"], body[where[0]], body[where[1]], now)


def _remove_from(name: str) -> Any:
    return lambda directory, key: directory[name].remove(key)


_END: dict[tuple[str, str], Any] = {
    ("role", "Eligibility"): _remove_from("roleEligibilitySchedules"),
    ("role", "Assignment"): end_role,
    ("group", "Eligibility"): _remove_from("groupEligibilitySchedules"),
    ("group", "Assignment"): end_group,
}
_ASSIGN: dict[tuple[str, str], Any] = {
    ("role", "Eligibility"): make_role_eligible,
    ("role", "Assignment"): assign_role,
    ("group", "Eligibility"): make_group_eligible,
    ("group", "Assignment"): activate_group,
}
