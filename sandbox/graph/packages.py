"""Entitlement management: access packages, their assignments, and requests that are delivered after a while."""

from __future__ import annotations

import uuid

from sandbox.graph.calls import Answer, Call
from sandbox.graph.directory import Directory, text_of
from sandbox.graph.refusals import refuse
from sandbox.graph.store import Row

TYPES = ("adminAdd", "adminRemove")


def subject(directory: Directory, object_id: str) -> Row:
    """The subject of an assignment: what entitlement management shows of a user."""
    row = directory["users"].get(object_id) or {}
    return {
        "id": object_id,
        "objectId": object_id,
        "displayName": row.get("displayName"),
        "email": row.get("mail"),
        "principalName": row.get("userPrincipalName"),
        "subjectType": "user",
    }


def assignment(directory: Directory, target: str, package: Row, policy: Row) -> Row:
    """A new assignment to a package, on its way to its subject."""
    return {
        "id": str(uuid.uuid4()),
        "state": "delivering",
        "status": "Delivering",
        "expiredDateTime": None,
        "schedule": {"startDateTime": text_of(directory.now()), "recurrence": None, "expiration": None},
        "target": subject(directory, target),
        "accessPackage": package,
        "assignmentPolicy": policy,
        "_target": target,
    }


def deliver(directory: Directory, row: Row) -> None:
    """The assignment is in force, and the package's groups have its subject as a member."""
    delivered = {**row, "state": "delivered", "status": "Delivered"}
    directory["accessPackageAssignments"].put(row["id"], delivered)
    for group in row["accessPackage"]["_groups"]:
        directory.link("members", group, row["_target"], via=row["id"])


def end(directory: Directory, key: str) -> None:
    """The assignment expires and the memberships that it gave end with it."""
    assignments = directory["accessPackageAssignments"]
    row = assignments.rows[key]
    gone = {"state": "expired", "status": "Expired", "expiredDateTime": text_of(directory.now())}
    assignments.put(key, {**row, **gone})
    for group in row["accessPackage"]["_groups"]:
        link = directory.linked("members", group, row["_target"])
        if link is not None and link["_via"] == key:
            directory.unlink("members", group, row["_target"])


def request(call: Call) -> Answer:
    """POST assignmentRequests: 201 means submitted; delivery follows in two steps."""
    if call.body.get("requestType") not in TYPES:
        raise refuse("property-value", name="requestType", entity="accessPackageAssignmentRequest")
    removes = call.body["requestType"] == "adminRemove"
    asked = call.body.get("assignment") or {}
    held = _existing(call, asked) if removes else _added(call, asked)
    row = {
        "id": str(uuid.uuid4()),
        "requestType": call.body["requestType"],
        "justification": call.body.get("justification"),
        "state": "submitted",
        "status": "Accepted",
        "createdDateTime": text_of(call.directory.now()),
        "completedDateTime": None,
        "assignment": held,
        "accessPackage": held["accessPackage"],
        "requestor": held["target"],
        "_assignment": held["id"],
    }
    call.directory["accessPackageAssignmentRequests"].put(row["id"], row)
    _deliver_later(call, row, removes=removes)
    return Answer(201, call.view.shown(row, call.entity))


def _existing(call: Call, asked: Row) -> Row:
    return call.directory["accessPackageAssignments"].rows[str(asked["id"])]


def _added(call: Call, asked: Row) -> Row:
    package = call.directory["accessPackages"].get(str(asked.get("accessPackageId")))
    policy = call.directory["accessPackagePolicies"].get(str(asked.get("assignmentPolicyId")))
    target = str(asked.get("targetId"))
    for found, name in ((package, "accessPackageId"), (policy, "assignmentPolicyId")):
        if found is None:
            raise refuse("no-such-resource", id=asked.get(name))
    if call.directory["users"].get(target) is None:
        raise refuse("no-such-resource", id=target)
    row = assignment(call.directory, target, package or {}, policy or {})
    call.directory["accessPackageAssignments"].put(row["id"], row)
    return row


def _deliver_later(call: Call, row: Row, *, removes: bool) -> None:
    directory, now = call.directory, call.directory.now()
    directory.later(now + call.delivery_s / 2, lambda: _advance(directory, row["id"], "delivering"))

    def finish() -> None:
        _advance(directory, row["id"], "delivered")
        if removes:
            end(directory, row["_assignment"])
        else:
            deliver(directory, row["assignment"])

    directory.later(now + call.delivery_s, finish)


def _advance(directory: Directory, key: str, state: str) -> None:
    requests = directory["accessPackageAssignmentRequests"]
    done = text_of(directory.now()) if state == "delivered" else None
    status = {"delivering": "Delivering", "delivered": "Fulfilled"}[state]
    requests.put(key, {**requests.rows[key], "state": state, "status": status, "completedDateTime": done})
