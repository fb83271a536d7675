"""Rows of the store as Graph shows them: what was selected, what is returned by default, what is expanded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from sandbox.graph.directory import Directory
from sandbox.graph.permissions import READ_TYPE, allowed, hidden_properties
from sandbox.graph.refusals import refuse
from sandbox.graph.schema import ABSENT, FAMILIES, Property, entity_type
from sandbox.graph.store import Row

Follow: TypeAlias = Callable[[Directory, Row], Any]


def type_of(row: Row, entity: str) -> str:
    """The row's own type where its collection holds several."""
    stated = str(row.get("@odata.type", ""))
    return stated.removeprefix("#microsoft.graph.") if entity in FAMILIES and stated else entity


class View:
    """A directory as one caller sees it: what the caller may not read is null, as Graph shows it."""

    def __init__(self, directory: Directory, held: frozenset[str]) -> None:
        self.directory = directory
        self.held = held

    def shown(
        self, row: Row, entity: str, select: tuple[str, ...] = (), expand: Mapping[str, tuple[str, ...]] | None = None
    ) -> Row:
        """One object of a reply: what was selected or is returned by default, and what is expanded."""
        kind = type_of(row, entity)
        mixed = entity in FAMILIES
        found: Row = {"@odata.type": f"#microsoft.graph.{kind}"} if mixed else {}
        names = select or entity_type(kind).default
        known = entity_type(kind).properties
        readable = not mixed or allowed(READ_TYPE.get(kind, ""), self.held)
        hidden = hidden_properties(kind, self.held)
        for name in dict.fromkeys(("id", *names)) if mixed else names:
            if name in known and not known[name].navigation and (kind, name) not in ABSENT[self.directory.cloud]:
                visible = name == "id" or (readable and name not in hidden)
                found[name] = _value(row, known[name]) if visible else None
        for name, inner in (expand or {}).items():
            found[name] = self._expanded(row, kind, name, inner)
        return found

    def _expanded(self, row: Row, kind: str, name: str, select: tuple[str, ...]) -> Any:
        prop = entity_type(kind).properties[name]
        follow = EXPANSIONS.get((kind, name))
        if follow is None:
            raise refuse("expand-unsupported", name=name)
        found = follow(self.directory, row)
        if prop.many:
            return [self.shown(one, prop.target, select) for one in found]
        return None if found is None else self.shown(found, prop.target, select)


def whole(row: Row) -> Row:
    """A stored object with everything of Graph that it has."""
    return {name: value for name, value in row.items() if not name.startswith("_")}


def _value(row: Row, prop: Property) -> Any:
    value = row.get(prop.name)
    return [] if value is None and prop.many else value


def _object_named(field: str) -> Follow:
    return lambda directory, row: directory.seen_object(str(row.get(field)))


def _row_named(table: str, field: str) -> Follow:
    return lambda directory, row: directory[table].seen(str(row.get(field)))


def _own(name: str) -> Follow:
    return lambda _, row: row.get(name)


def _linked(relation: str) -> Follow:
    return lambda directory, row: list(directory.seen_objects_of(relation, row["id"]))


_ROLE_TYPES = (
    "unifiedRoleAssignment",
    "unifiedRoleEligibilitySchedule",
    "unifiedRoleAssignmentSchedule",
    "unifiedRoleEligibilityScheduleInstance",
    "unifiedRoleAssignmentScheduleInstance",
    "unifiedRoleEligibilityScheduleRequest",
    "unifiedRoleAssignmentScheduleRequest",
)
_GROUP_TYPES = tuple(
    f"privilegedAccessGroup{kind}Schedule{form}"
    for kind in ("Eligibility", "Assignment")
    for form in ("", "Instance", "Request")
)

EXPANSIONS: dict[tuple[str, str], Follow] = {
    ("user", "manager"): _object_named("_manager"),
    ("group", "members"): _linked("members"),
    ("group", "owners"): _linked("owners"),
    ("accessPackageAssignment", "target"): _own("target"),
    ("accessPackageAssignment", "accessPackage"): _own("accessPackage"),
    ("accessPackageAssignment", "assignmentPolicy"): _own("assignmentPolicy"),
    ("accessPackageAssignmentRequest", "assignment"): _own("assignment"),
    ("accessPackageAssignmentRequest", "accessPackage"): _own("accessPackage"),
    ("accessPackageAssignmentRequest", "requestor"): _own("requestor"),
    ("accessPackage", "assignmentPolicies"): lambda directory, row: list(
        directory["accessPackagePolicies"].seen_where("_package", row["id"])
    ),
    **{(kind, "principal"): _object_named("principalId") for kind in (*_ROLE_TYPES, *_GROUP_TYPES)},
    **{(kind, "roleDefinition"): _row_named("roleDefinitions", "roleDefinitionId") for kind in _ROLE_TYPES},
    **{(kind, "group"): _row_named("groups", "groupId") for kind in _GROUP_TYPES},
}
"""What $expand can follow, by type and navigation property."""
