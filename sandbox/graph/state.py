"""A tenant as the control interface shows it: everything as last written, without replication delay."""

from __future__ import annotations

from typing import Any

from sandbox.graph.directory import Directory
from sandbox.graph.replies import whole
from sandbox.graph.store import Row

USER_ALWAYS = (
    "id",
    "displayName",
    "userPrincipalName",
    "mail",
    "userType",
    "accountEnabled",
    "department",
    "jobTitle",
    "companyName",
    "employeeId",
    "employeeLeaveDateTime",
    "signInSessionsValidFromDateTime",
)
"""Properties of a user that are shown even where they have no value."""

AS_STORED = (
    "roleAssignments",
    "roleEligibilitySchedules",
    "roleAssignmentSchedules",
    "groupEligibilitySchedules",
    "groupAssignmentSchedules",
    "appRoleAssignments",
    "oauth2PermissionGrants",
    "servicePrincipals",
    "administrativeUnits",
    "accessPackages",
)


def state_of(directory: Directory) -> dict[str, Any]:
    """The tenant's objects and relations."""
    directory.catch_up()
    assignments = directory["accessPackageAssignments"].rows.values()
    return {
        "id": directory.tenant_id,
        "users": [_user(row) for row in directory["users"].rows.values()],
        "deletedUsers": [_user(row) for row in directory["deletedUsers"].rows.values()],
        "groups": [_group(directory, row) for row in directory["groups"].rows.values()],
        "devices": [_device(directory, row) for row in directory["devices"].rows.values()],
        "accessPackageAssignments": [_assignment(row) for row in assignments if row["state"] != "expired"],
        "authenticationMethods": _methods(directory),
        **{name: [whole(row) for row in directory[name].rows.values()] for name in AS_STORED},
    }


def _user(row: Row) -> Row:
    return {**dict.fromkeys(USER_ALWAYS), **whole(row)}


def _linked(directory: Directory, relation: str, holder: str) -> list[str]:
    links = directory[relation].where("_holder", holder)
    return [link["_object"] for link in links if directory.object(link["_object"]) is not None]


def _group(directory: Directory, row: Row) -> Row:
    seats = {relation: _linked(directory, relation, row["id"]) for relation in ("members", "owners")}
    return {**whole(row), **seats}


def _device(directory: Directory, row: Row) -> Row:
    relations = ("registeredUsers", "registeredOwners")
    return {**whole(row), **{relation: _linked(directory, relation, row["id"]) for relation in relations}}


def _assignment(row: Row) -> Row:
    return {
        **whole(row),
        "accessPackage": whole(row["accessPackage"]),
        "assignmentPolicy": whole(row["assignmentPolicy"]),
    }


def _methods(directory: Directory) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in directory["authenticationMethods"].rows.values():
        found.setdefault(row["_user"], []).append(whole(row))
    return found
