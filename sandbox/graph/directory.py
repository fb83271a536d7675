"""One tenant's directory: its tables, and the questions that several calls ask of them."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from sandbox.directory_roles import ROLE_TEMPLATES
from sandbox.graph.paging import Pages
from sandbox.graph.store import Row, Table
from sandbox.world import stable_id

LINKS = ("members", "owners", "registeredUsers", "registeredOwners")
"""Relations between directory objects, as tables of (holder, object)."""

TABLES: dict[str, tuple[str, ...]] = {
    "users": ("_upn",),
    "deletedUsers": (),
    "groups": (),
    "devices": (),
    "servicePrincipals": ("appId",),
    "administrativeUnits": (),
    "directoryRoles": (),
    "organization": (),
    **dict.fromkeys(LINKS, ("_holder", "_object")),
    "roleDefinitions": (),
    "roleAssignments": ("principalId",),
    "roleEligibilitySchedules": ("principalId",),
    "roleAssignmentSchedules": ("principalId",),
    "roleEligibilityScheduleRequests": ("principalId",),
    "roleAssignmentScheduleRequests": ("principalId",),
    "groupEligibilitySchedules": ("principalId", "groupId"),
    "groupAssignmentSchedules": ("principalId", "groupId"),
    "groupEligibilityScheduleRequests": ("principalId", "groupId"),
    "groupAssignmentScheduleRequests": ("principalId", "groupId"),
    "accessPackages": (),
    "accessPackagePolicies": ("_package",),
    "accessPackageAssignments": ("_target",),
    "accessPackageAssignmentRequests": ("_assignment",),
    "appRoleAssignments": ("principalId", "resourceId"),
    "oauth2PermissionGrants": ("principalId",),
    "authenticationMethods": ("_user",),
}
OBJECTS = ("users", "groups", "servicePrincipals", "devices", "administrativeUnits", "directoryRoles")


def text_of(seconds: float) -> str:
    """An instant as Graph writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Directory:
    """Tables by name, the clock they share, and what is to happen in them later."""

    def __init__(
        self,
        name: str,
        tenant_id: str,
        *,
        cloud: str = "public",
        delay_s: float = 0,
        page_size: int = 100,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.tenant_id = tenant_id
        self.cloud = cloud
        self.now = now
        self.page_size = page_size
        self.pages = Pages()
        self.tables = {table: Table(now, delay_s, indexed) for table, indexed in TABLES.items()}
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def __getitem__(self, table: str) -> Table:
        return self.tables[table]

    # -- time -------------------------------------------------------------------------------------------------

    def later(self, at: float, act: Callable[[], None]) -> None:
        """Have something happen at an instant: a package delivered, an activation ended."""
        heapq.heappush(self._later, (at, next(self._order), act))

    def catch_up(self) -> None:
        """Let everything happen whose time has come; called before every request."""
        while self._later and self._later[0][0] <= self.now():
            heapq.heappop(self._later)[2]()

    # -- objects ----------------------------------------------------------------------------------------------

    def user_key(self, id_or_name: str) -> str:
        """The id of a user named by id or userPrincipalName, as Graph takes both."""
        if id_or_name in self["users"].rows:
            return id_or_name
        found = next(self["users"].where("_upn", id_or_name.casefold()), None)
        return str(found["id"]) if found else id_or_name.lower()

    def object(self, key: str) -> Row | None:
        """A directory object of any type, as last written."""
        return next((row for table in OBJECTS if (row := self[table].get(key)) is not None), None)

    def seen_object(self, key: str) -> Row | None:
        """A directory object of any type, as reads show it."""
        return next((row for table in OBJECTS if (row := self[table].seen(key)) is not None), None)

    # -- relations --------------------------------------------------------------------------------------------

    def link(self, relation: str, holder: str, object_id: str, via: str = "") -> None:
        """Make an object a member (owner, …) of a holder; `via` names what it will end with."""
        self[relation].put(f"{holder} {object_id}", {"_holder": holder, "_object": object_id, "_via": via})

    def unlink(self, relation: str, holder: str, object_id: str) -> None:
        self[relation].remove(f"{holder} {object_id}")

    def linked(self, relation: str, holder: str, object_id: str) -> Row | None:
        return self[relation].get(f"{holder} {object_id}")

    def seen_objects_of(self, relation: str, holder: str) -> Iterator[Row]:
        """What reads show as members (owners, …) of a holder; soft-deleted objects do not show."""
        for link in self[relation].seen_where("_holder", holder):
            if (row := self.seen_object(link["_object"])) is not None:
                yield row

    def seen_holders_of(self, relation: str, object_id: str) -> Iterator[Row]:
        """What reads show an object to be a member (owner, …) of."""
        for link in self[relation].seen_where("_object", object_id):
            if (row := self.seen_object(link["_holder"])) is not None:
                yield row

    def seen_transitive_groups(self, object_id: str) -> Iterator[Row]:
        """Groups that an object is in, directly or through groups, each once; units hold it only directly."""
        seen: set[str] = set()
        todo = [object_id]
        while todo:
            member = todo.pop()
            for row in self.seen_holders_of("members", member):
                nests = row["id"] in self["groups"].rows
                if row["id"] not in seen and (nests or member == object_id):
                    seen.add(row["id"])
                    todo.append(row["id"])
                    yield row

    # -- roles ------------------------------------------------------------------------------------------------

    def roles_of(self, principal_id: str, scope: str = "/") -> set[str]:
        """Template ids of the Entra roles that a principal actively holds at a scope."""
        held = self["roleAssignments"].where("principalId", principal_id)
        return {row["roleDefinitionId"] for row in held if row["directoryScopeId"] == scope}

    def holds(self, principal_id: str, *roles: str, scope: str = "/") -> bool:
        return bool(self.roles_of(principal_id, scope) & {ROLE_TEMPLATES[role] for role in roles})

    def is_privileged(self, user_id: str) -> bool:
        """Whether Microsoft's sensitive actions apply: an active Entra role, or a seat in a role-assignable group."""
        if next(self["roleAssignments"].where("principalId", user_id), None) is not None:
            return True
        seats = itertools.chain(self["members"].where("_object", user_id), self["owners"].where("_object", user_id))
        groups = (self["groups"].get(seat["_holder"]) for seat in seats)
        return any(group is not None and group.get("isAssignableToRole") for group in groups)

    def directory_role(self, template: str) -> Row | None:
        """The directoryRole object that stands for a role in memberOf."""
        return self["directoryRoles"].seen(stable_id(self.name, "directoryRoles", template))

    def restricting_units(self, object_id: str) -> list[str]:
        """Restricted-management administrative units that an object is in."""
        units = (self["administrativeUnits"].get(row["_holder"]) for row in self["members"].where("_object", object_id))
        return [unit["id"] for unit in units if unit and unit.get("isMemberManagementRestricted")]
