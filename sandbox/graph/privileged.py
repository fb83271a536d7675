"""Entra roles and Privileged Identity Management: assignments, schedules, their instances, and requests.

In a tenant with PIM an active role, whoever gave it, shows both in roleAssignments and in roleAssignmentSchedules;
a request `adminRemove` ends both. For groups an active assignment is a seat in the group while it lasts.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sandbox.graph.calls import Answer, Call, Operation
from sandbox.graph.directory import Directory, text_of
from sandbox.graph.filters import instant
from sandbox.graph.operations import Rows, table
from sandbox.graph.refusals import refuse
from sandbox.graph.refusals_governance import schedule_for
from sandbox.graph.store import Row

SEATS = {"member": "members", "owner": "owners"}
_REQUIRED = {
    "role": ("action", "principalId", "roleDefinitionId", "directoryScopeId"),
    "group": ("action", "principalId", "groupId", "accessId"),
}


@dataclass(frozen=True)
class Term:
    """From when, and until when if it ends by itself, in seconds since 1970."""

    start: float
    end: float | None = None

    def info(self) -> Row:
        """The term as a schedule says it."""
        ends = {"type": "noExpiration", "endDateTime": None, "duration": None}
        if self.end is not None:
            ends |= {"type": "afterDateTime", "endDateTime": text_of(self.end)}
        return {"startDateTime": text_of(self.start), "recurrence": None, "expiration": ends}


def _schedule(key: str, principal: str, term: Term) -> Row:
    return {
        "id": key,
        "principalId": principal,
        "createdDateTime": text_of(term.start),
        "modifiedDateTime": None,
        "createdUsing": key,
        "status": "Provisioned",
        "scheduleInfo": term.info(),
    }


# -- roles --------------------------------------------------------------------------------------------------------


def make_role_eligible(directory: Directory, principal: str, role: str, scope: str, term: Term) -> None:
    key = str(uuid.uuid4())
    scoped = {"roleDefinitionId": role, "directoryScopeId": scope, "memberType": "Direct"}
    directory["roleEligibilitySchedules"].put(key, {**_schedule(key, principal, term), **scoped})


def assign_role(directory: Directory, principal: str, role: str, scope: str, term: Term) -> None:
    """An active role: the assignment and its schedule, `Activated` where it ends by itself."""
    key = uuid.uuid4().hex
    scoped = {"roleDefinitionId": role, "directoryScopeId": scope}
    kind = {"assignmentType": "Assigned" if term.end is None else "Activated", "memberType": "Direct"}
    directory["roleAssignments"].put(key, {"id": key, "principalId": principal, **scoped})
    directory["roleAssignmentSchedules"].put(key, {**_schedule(key, principal, term), **scoped, **kind})
    if term.end is not None:
        directory.later(term.end, lambda: end_role(directory, key))


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


def make_group_eligible(directory: Directory, principal: str, group: str, access: str, term: Term) -> None:
    key = f"{group}_{access}_{uuid.uuid4()}"
    seat = {"groupId": group, "accessId": access, "memberType": "direct"}
    directory["groupEligibilitySchedules"].put(key, {**_schedule(key, principal, term), **seat})


def activate_group(directory: Directory, principal: str, group: str, access: str, term: Term) -> None:
    """An active assignment: a seat in the group while it lasts."""
    key = f"{group}_{access}_{uuid.uuid4()}"
    seat = {"groupId": group, "accessId": access, "memberType": "direct"}
    kind = {"assignmentType": "assigned" if term.end is None else "activated"}
    directory["groupAssignmentSchedules"].put(key, {**_schedule(key, principal, term), **seat, **kind})
    directory.link(SEATS[access], group, principal, via=key)
    if term.end is not None:
        directory.later(term.end, lambda: end_group(directory, key))


def end_group(directory: Directory, key: str) -> None:
    """The assignment ends, and the seat that it gave."""
    row = directory["groupAssignmentSchedules"].get(key)
    if row is None:
        return
    directory["groupAssignmentSchedules"].remove(key)
    relation = SEATS[row["accessId"]]
    link = directory.linked(relation, row["groupId"], row["principalId"])
    if link is not None and link["_via"] == key:
        directory.unlink(relation, row["groupId"], row["principalId"])


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


def request(subject: str, kind: str) -> Operation:
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
        return Answer(201, call.view.shown(row, call.entity))

    return run


def require(subject: str) -> Callable[[Row], None]:
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
    body = call.body
    if call.directory.object(body["principalId"]) is None:
        raise refuse("no-such-resource", id=body["principalId"])
    where = ("groupId", "accessId") if subject == "group" else ("roleDefinitionId", "directoryScopeId")
    _ASSIGN[subject, kind](call.directory, body["principalId"], body[where[0]], body[where[1]], _term(call))


def _term(call: Call) -> Term:
    expiration = (call.body.get("scheduleInfo") or {}).get("expiration") or {}
    ends = instant(str(expiration.get("endDateTime")))
    return Term(call.directory.now(), ends.timestamp() if ends else None)


def _remove_from(name: str) -> Callable[[Directory, str], None]:
    return lambda directory, key: directory[name].remove(key)


_END: dict[tuple[str, str], Callable[[Directory, str], None]] = {
    ("role", "Eligibility"): _remove_from("roleEligibilitySchedules"),
    ("role", "Assignment"): end_role,
    ("group", "Eligibility"): _remove_from("groupEligibilitySchedules"),
    ("group", "Assignment"): end_group,
}
_ASSIGN: dict[tuple[str, str], Callable[[Directory, str, str, str, Term], None]] = {
    ("role", "Eligibility"): make_role_eligible,
    ("role", "Assignment"): assign_role,
    ("group", "Eligibility"): make_group_eligible,
    ("group", "Assignment"): activate_group,
}
