"""The table of routes: method and path, the type it is about, what it does, and what it costs.

Resource units: facts 7 (learn throttling-limits): GET users 2, members 3, memberOf 2, else 1. A path not in this
table is not found, and a method not in it is not allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.graph import packages, people, privileged
from sandbox.graph.calls import Operation
from sandbox.graph.operations import (
    Find,
    Rows,
    counting,
    listing,
    of_type,
    of_user,
    one,
    one_of_user,
    reading,
    removing,
    seen_user,
    table,
)
from sandbox.graph.people import method_key
from sandbox.graph.permissions import METHOD_KINDS
from sandbox.graph.query import COLLECTION, NONE, SINGLE
from sandbox.graph.refusals import refuse
from sandbox.graph.schema import EntityType, body_type, entity_type

_PIM = "identityGovernance/privilegedAccess/group"
_EM = "identityGovernance/entitlementManagement"
_ROLE = "roleManagement/directory"
_GET_BY_IDS = "directory_objects.get_by_ids.get_by_ids_post_request_body:GetByIdsPostRequestBody"


def _nothing(_: dict[str, Any]) -> None:
    """No property is required."""


@dataclass(frozen=True)
class Route:
    """One operation. `body` names the type of the body ("" for none), `read_only` lets read-only names pass."""

    method: str
    template: str
    entity: str
    run: Operation
    cost: int = 1
    options: frozenset[str] = NONE
    body: str = ""
    require: Callable[[dict[str, Any]], None] = _nothing
    writable: bool = True
    cast: bool = False
    segments: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", tuple(self.template.split("/")))

    @property
    def key(self) -> str:
        return f"{self.method} {self.template}"

    @property
    def permission_key(self) -> str:
        """Counting and casting need what listing needs."""
        template = self.template.removesuffix("/$count")
        if "emberOf/microsoft.graph." in template:
            template = template.rsplit("/", 1)[0]
        return f"{self.method} {template}"

    @property
    def writes(self) -> bool:
        return self.method != "GET" and not self.template.endswith("getByIds")

    @property
    def body_type(self) -> EntityType:
        return body_type(self.body) if ":" in self.body else entity_type(self.body)


def _list(template: str, entity: str, rows: Rows, cost: int = 1, *, cast: bool = False) -> tuple[Route, ...]:
    """A collection and its $count."""
    return (
        Route("GET", template, entity, listing(rows), cost, COLLECTION, cast=cast),
        Route("GET", f"{template}/$count", entity, counting(rows), cost, frozenset({"$filter"}), cast=True),
    )


def _get(template: str, entity: str, find: Find, cost: int = 1) -> Route:
    return Route("GET", template, entity, reading(find), cost, SINGLE)


def _users() -> tuple[Route, ...]:
    user = "users/{user}"
    return (
        *_list("users", "user", table("users"), 2),
        Route("POST", "users", "user", people.create_user, body="user"),
        _get(user, "user", seen_user),
        Route("PATCH", user, "user", people.update_user, body="user"),
        Route("DELETE", user, "user", people.delete_user),
        Route("POST", f"{user}/revokeSignInSessions", "user", people.revoke_sessions),
        _get(f"{user}/manager", "directoryObject", people.manager),
        *_memberships(user, "memberOf", people.member_of),
        *_memberships(user, "transitiveMemberOf", people.transitive_member_of),
        *_list(f"{user}/ownedObjects", "directoryObject", people.owned(("group", "application", "servicePrincipal"))),
        *_list(f"{user}/registeredDevices", "directoryObject", people.related("registeredUsers")),
        *_list(f"{user}/ownedDevices", "directoryObject", people.related("registeredOwners")),
        *_list(f"{user}/appRoleAssignments", "appRoleAssignment", of_user("appRoleAssignments", "principalId")),
        Route(
            "DELETE",
            f"{user}/appRoleAssignments/{{assignment}}",
            "appRoleAssignment",
            removing("appRoleAssignments", one_of_user("appRoleAssignments", "assignment", "principalId")),
        ),
        *_list(
            f"{user}/oauth2PermissionGrants",
            "oAuth2PermissionGrant",
            of_user("oauth2PermissionGrants", "principalId"),
        ),
    )


def _memberships(user: str, relation: str, rows: Rows) -> tuple[Route, ...]:
    """The relation, and its casts, which are advanced queries (learn api/user-list-memberof)."""
    casts = ("group", "directoryRole", "administrativeUnit")
    return (
        *_list(f"{user}/{relation}", "directoryObject", rows, 2),
        *(
            route
            for kind in casts
            for route in _list(f"{user}/{relation}/microsoft.graph.{kind}", kind, of_type(rows, kind), 2, cast=True)
        ),
    )


def _methods() -> tuple[Route, ...]:
    base = "users/{user}/authentication"
    find = one_of_user("authenticationMethods", "method", "_user", method_key)
    remove = removing("authenticationMethods", find, lambda row: f"{row['_user']} {row['id']}")
    passes = "temporaryAccessPassMethods"
    return (
        *_list(f"{base}/methods", "authenticationMethod", people.authentication_methods),
        *(
            route
            for collection, kind in METHOD_KINDS.items()
            for route in _list(f"{base}/{collection}", kind, of_type(people.authentication_methods, kind))
        ),
        *(
            Route("DELETE", f"{base}/{collection}/{{method}}", kind, remove)
            for collection, kind in METHOD_KINDS.items()
            if collection != "passwordMethods"
        ),
        Route("POST", f"{base}/{passes}", METHOD_KINDS[passes], people.create_pass, body=METHOD_KINDS[passes]),
    )


def _groups() -> tuple[Route, ...]:
    group = "groups/{group}"
    found: list[Route] = [
        *_list("groups", "group", table("groups")),
        _get(group, "group", one("groups", "group")),
        *_list(f"{group}/transitiveMembers", "directoryObject", people.transitive_members, 3),
    ]
    for relation in ("members", "owners"):
        path = f"{group}/{relation}"
        found += _list(path, "directoryObject", people.related(relation, of="group"), 3)
        found.append(Route("POST", f"{path}/$ref", "group", people.add_link(relation), body="referenceCreate"))
        found.append(Route("DELETE", f"{path}/{{object}}/$ref", "group", people.remove_link(relation)))
    found.append(Route("DELETE", f"{group}/members/{{object}}", "user", people.delete_member_object))
    return tuple(found)


def _objects() -> tuple[Route, ...]:
    item = "directory/deletedItems/{item}"
    return (
        Route(
            "POST",
            "directoryObjects/getByIds",
            "directoryObject",
            people.get_by_ids,
            options=frozenset({"$select"}),
            body=_GET_BY_IDS,
        ),
        *_list("directory/deletedItems/microsoft.graph.user", "user", table("deletedUsers")),
        _get(item, "directoryObject", one("deletedUsers", "item")),
        Route("DELETE", item, "directoryObject", people.purge_user),
        Route("POST", f"{item}/restore", "directoryObject", people.restore_user),
        *_list("oauth2PermissionGrants", "oAuth2PermissionGrant", table("oauth2PermissionGrants")),
        Route(
            "DELETE",
            "oauth2PermissionGrants/{grant}",
            "oAuth2PermissionGrant",
            removing("oauth2PermissionGrants", one("oauth2PermissionGrants", "grant")),
        ),
        *_list("servicePrincipals", "servicePrincipal", table("servicePrincipals")),
        _get("servicePrincipals/{principal}", "servicePrincipal", one("servicePrincipals", "principal")),
        *_list(
            "servicePrincipals/{principal}/appRoleAssignments",
            "appRoleAssignment",
            lambda call: call.directory["appRoleAssignments"].seen_where("principalId", call.params["principal"]),
        ),
        *_list("organization", "organization", table("organization")),
    )


def _roles() -> tuple[Route, ...]:
    found: list[Route] = [
        *_list(f"{_ROLE}/roleDefinitions", "unifiedRoleDefinition", table("roleDefinitions")),
        *_list(f"{_ROLE}/roleAssignments", "unifiedRoleAssignment", table("roleAssignments")),
        Route(
            "DELETE",
            f"{_ROLE}/roleAssignments/{{assignment}}",
            "unifiedRoleAssignment",
            privileged.delete_role_assignment,
        ),
    ]
    for kind in ("Eligibility", "Assignment"):
        found += _schedules(f"{_ROLE}/role{kind}", f"unifiedRole{kind}", "role", kind)
    return tuple(found)


def _pim_for_groups() -> tuple[Route, ...]:
    found: list[Route] = []
    for kind in ("Eligibility", "Assignment"):
        found += _schedules(f"{_PIM}/{kind.lower()}", f"privilegedAccessGroup{kind}", "group", kind)
    return tuple(found)


def _schedules(path: str, entity: str, subject: str, kind: str) -> list[Route]:
    """Schedules, their instances, and requests that change them."""
    schedules = f"{subject}{kind}Schedules"
    requests = f"{entity}ScheduleRequest"
    return [
        *_list(f"{path}Schedules", f"{entity}Schedule", table(schedules)),
        *_list(f"{path}ScheduleInstances", f"{entity}ScheduleInstance", privileged.instances(schedules)),
        *_list(f"{path}ScheduleRequests", requests, table(f"{subject}{kind}ScheduleRequests")),
        Route(
            "POST",
            f"{path}ScheduleRequests",
            requests,
            privileged.request(subject, kind),
            body=requests,
            require=privileged.require(subject),
        ),
    ]


def _packages() -> tuple[Route, ...]:
    requests = f"{_EM}/assignmentRequests"
    kind = "accessPackageAssignmentRequest"
    return (
        *_list(f"{_EM}/accessPackages", "accessPackage", table("accessPackages")),
        *_list(f"{_EM}/assignments", "accessPackageAssignment", table("accessPackageAssignments")),
        *_list(requests, kind, table("accessPackageAssignmentRequests")),
        _get(f"{requests}/{{request}}", kind, one("accessPackageAssignmentRequests", "request")),
        Route("POST", requests, kind, packages.request, body=kind, writable=False),
    )


ROUTES: tuple[Route, ...] = (
    *_users(),
    *_methods(),
    *_groups(),
    *_objects(),
    *_roles(),
    *_pim_for_groups(),
    *_packages(),
)

_BY_SHAPE: dict[tuple[int, str], list[Route]] = {}
for _route in ROUTES:
    _BY_SHAPE.setdefault((len(_route.segments), _route.segments[0]), []).append(_route)


def matched(method: str, segments: tuple[str, ...]) -> tuple[Route, dict[str, str]]:
    """The route for a path, and what its {segments} are; literal segments go before {…} ones."""
    found: list[tuple[int, Route, dict[str, str]]] = []
    for route in _BY_SHAPE.get((len(segments), segments[0]), ()):
        params = _params(route.segments, segments)
        if params is not None:
            found.append((len(params), route, params))
    if not found:
        raise refuse("path", segment=_unknown_segment(segments))
    fewest = min(count for count, _, _ in found)
    for count, route, params in found:
        if count == fewest and route.method == method:
            return route, params
    raise refuse("method")


def _params(template: tuple[str, ...], segments: tuple[str, ...]) -> dict[str, str] | None:
    params = {}
    for wanted, given in zip(template, segments, strict=True):
        if wanted.startswith("{"):
            params[wanted[1:-1]] = given
        elif wanted != given:
            return None
    return params


def _unknown_segment(segments: tuple[str, ...]) -> str:
    """The first segment at which no route of the table goes on."""
    for depth, segment in enumerate(segments):
        prefix = segments[: depth + 1]
        if not any(_params(r.segments[: depth + 1], prefix) is not None for r in ROUTES if len(r.segments) > depth):
            return segment
    return segments[-1]
