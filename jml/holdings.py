"""What an account has, read from Graph: one reading for each kind, and what can be done about each item found.

The readings of an account go out together. Each says which permission it needs; each item becomes a removal, or a
finding with the reason why it stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from jml.accounts import Holdings
from jml.steps import (
    EndGroupAssignment,
    EndGroupEligibility,
    EndPackage,
    EndRoleAssignment,
    EndRoleEligibility,
    LeaveGroup,
    Removal,
    RemoveAppRole,
    RemoveMethod,
    RemoveRoleAssignment,
    RevokeGrant,
)
from shared.plan import Finding

Item = Mapping[str, Any]
Items = Sequence[Item]
Found = Mapping[str, Items]
"""Reading name → its items, every page of them."""


@dataclass(frozen=True)
class Reading:
    """A collection of an account (`{id}`), and the permission that reads it."""

    name: str
    path: str
    needs: str


_DIRECTORY_ROLES = "/roleManagement/directory"
_PIM_GROUPS = "/identityGovernance/privilegedAccess/group"
_PACKAGES = "/identityGovernance/entitlementManagement/assignments"
_GROUP_FIELDS = "id,groupTypes,mailEnabled,onPremisesSyncEnabled,isAssignableToRole,isManagementRestricted"
_OF_PRINCIPAL = "?$filter=principalId eq '{id}'"

READINGS: tuple[Reading, ...] = (
    Reading("groups", f"/users/{{id}}/memberOf?$select={_GROUP_FIELDS}&$top=999", "Directory.Read.All"),
    Reading("owned", "/users/{id}/ownedObjects?$select=id,isAssignableToRole", "Directory.Read.All"),
    Reading("devices", "/users/{id}/registeredDevices?$select=id", "Directory.Read.All"),
    Reading("roles", f"{_DIRECTORY_ROLES}/roleAssignments{_OF_PRINCIPAL}", "RoleManagement.ReadWrite.Directory"),
    Reading(
        "active roles",
        f"{_DIRECTORY_ROLES}/roleAssignmentSchedules{_OF_PRINCIPAL}",
        "RoleManagement.ReadWrite.Directory",
    ),
    Reading(
        "eligible roles",
        f"{_DIRECTORY_ROLES}/roleEligibilitySchedules{_OF_PRINCIPAL}",
        "RoleManagement.ReadWrite.Directory",
    ),
    Reading(
        "active groups",
        f"{_PIM_GROUPS}/assignmentSchedules{_OF_PRINCIPAL}",
        "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup",
    ),
    Reading(
        "eligible groups",
        f"{_PIM_GROUPS}/eligibilitySchedules{_OF_PRINCIPAL}",
        "PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup",
    ),
    Reading("packages", f"{_PACKAGES}?$filter=target/objectId eq '{{id}}'", "EntitlementManagement.ReadWrite.All"),
    Reading("app roles", "/users/{id}/appRoleAssignments", "Directory.Read.All"),
    Reading("grants", f"/oauth2PermissionGrants{_OF_PRINCIPAL}", "DelegatedPermissionGrant.ReadWrite.All"),
    Reading("methods", "/users/{id}/authentication/methods", "UserAuthenticationMethod.ReadWrite.All"),
)

METHODS: dict[str, str] = {
    "emailAuthenticationMethod": "emailMethods",
    "fido2AuthenticationMethod": "fido2Methods",
    "microsoftAuthenticatorAuthenticationMethod": "microsoftAuthenticatorMethods",
    "phoneAuthenticationMethod": "phoneMethods",
    "softwareOathAuthenticationMethod": "softwareOathMethods",
    "temporaryAccessPassAuthenticationMethod": "temporaryAccessPassMethods",
    "windowsHelloForBusinessAuthenticationMethod": "windowsHelloForBusinessMethods",
}
"""Type of an authentication method → the collection it is deleted from."""

UNREAD = "unread"
"""Kind of the finding for what the app may not read: a person has to grant it."""

PASSWORD = "passwordAuthenticationMethod"  # noqa: S105 - the name of a type
"""Every account has a password, which cannot be taken away; it is worth nothing while the account is disabled."""

SHOWN_BY: dict[type[Removal], frozenset[str]] = {
    EndGroupAssignment: frozenset({"active groups"}),
    EndGroupEligibility: frozenset({"eligible groups"}),
    EndRoleAssignment: frozenset({"active roles"}),
    EndRoleEligibility: frozenset({"eligible roles"}),
    RemoveRoleAssignment: frozenset({"roles", "active roles"}),
    LeaveGroup: frozenset({"groups", "active groups"}),
    EndPackage: frozenset({"packages"}),
    RemoveAppRole: frozenset({"app roles"}),
    RevokeGrant: frozenset({"grants"}),
    RemoveMethod: frozenset({"methods"}),
}
"""Kind of removal → the readings without which nobody knows whether it is still to be done."""

UNLICENSED = frozenset({"AadPremiumLicenseRequired"})
"""Error codes that say that the tenant cannot have what was asked for, and so has none of it."""

OVER = frozenset({"expired"})
"""States of a package assignment that give no access any more."""

STAYS: tuple[tuple[str, Callable[[Item], bool], str], ...] = (
    (
        "dynamic group",
        lambda g: "DynamicMembership" in (g.get("groupTypes") or ()),
        "a rule decides who belongs: change the rule, or what it looks at",
    ),
    (
        "synced group",
        lambda g: g.get("onPremisesSyncEnabled") is True,
        "mastered on-premises: remove the member in Active Directory",
    ),
    (
        "mail-enabled group",
        lambda g: g.get("mailEnabled") is True and "Unified" not in (g.get("groupTypes") or ()),
        "managed by Exchange: remove the member in Exchange Online",
    ),
    (
        "restricted group",
        lambda g: g.get("isManagementRestricted") is True,
        "in a restricted-management administrative unit: only a role scoped to the unit may change it",
    ),
)
"""Groups that no application permission can take a member from: kind, how to tell, and what a person can do."""


def shown_by(step: Removal) -> frozenset[str]:
    return SHOWN_BY[type(step)]


def weigh(account: str, found: Found, unread: Mapping[str, str] = MappingProxyType({})) -> Holdings:
    """What can be taken from the account, and what stays. Pure.

    `found` has every reading's items (none for one that was refused); `unread`: refused reading → why.
    """
    active_groups = {_group_access(item) for item in found["active groups"] if _own(item)}
    active_roles = {_role_scope(item) for item in found["active roles"] if _own(item)}
    groups = [item for item in found["groups"] if item.get("@odata.type") == "#microsoft.graph.group"]
    stays = [*(_stays(account, group) for group in groups), *_reports(account, found)]
    removals: list[Removal] = [
        *(EndGroupAssignment(account, group, access) for group, access in active_groups),
        *(EndGroupEligibility(account, *_group_access(item)) for item in found["eligible groups"] if _own(item)),
        *(EndRoleAssignment(account, role, scope) for role, scope in active_roles),
        *(EndRoleEligibility(account, *_role_scope(i)) for i in found["eligible roles"] if _own(i)),
        *(RemoveRoleAssignment(account, _id(i)) for i in found["roles"] if _role_scope(i) not in active_roles),
        *(
            LeaveGroup(account, _id(group))
            for group in groups
            if _stays(account, group) is None and (_id(group), "member") not in active_groups
        ),
        *(EndPackage(account, _id(item)) for item in found["packages"] if item.get("state") not in OVER),
        *(RemoveAppRole(account, _id(item)) for item in found["app roles"] if _direct(item)),
        *(RevokeGrant(account, _id(item)) for item in found["grants"]),
        *(RemoveMethod(account, METHODS[_type(i)], _id(i)) for i in found["methods"] if _type(i) in METHODS),
    ]
    privileged = bool(found["roles"] or unread.keys() & {"roles", "groups", "owned"}) or any(
        item.get("isAssignableToRole") is True for item in (*groups, *found["owned"])
    )
    stays += [
        Finding(f"{UNREAD}:{account}:{name}", UNREAD, why, {"account": account, "reading": name})
        for name, why in unread.items()
    ]
    kept = tuple(finding for finding in stays if finding)
    return Holdings(frozenset(removals), kept, privileged, frozenset(unread))


def _stays(account: str, group: Item) -> Finding | None:
    for kind, tells, reason in STAYS:
        if tells(group):
            return Finding(f"{kind}:{account}:{_id(group)}", kind, reason, {"account": account, "group": _id(group)})
    return None


def _reports(account: str, found: Found) -> list[Finding]:
    """What no run takes away, and a person has to know of."""
    kinds = (
        ("owned object", found["owned"], "needs another owner"),
        ("registered device", found["devices"], "to be wiped or handed over"),
        (
            "authentication method",
            [item for item in found["methods"] if _type(item) not in (*METHODS, PASSWORD)],
            "of a kind that this app does not know how to delete",
        ),
    )
    return [
        Finding(f"{kind}:{account}:{_id(item)}", kind, reason, {"account": account, "object": _id(item)})
        for kind, items, reason in kinds
        for item in items
    ]


def _id(item: Item) -> str:
    return str(item["id"])


def _type(item: Item) -> str:
    return str(item.get("@odata.type", "")).rsplit(".", 1)[-1]


def _group_access(item: Item) -> tuple[str, str]:
    return str(item["groupId"]), str(item["accessId"])


def _role_scope(item: Item) -> tuple[str, str]:
    return str(item["roleDefinitionId"]), str(item.get("directoryScopeId") or "/")


def _own(item: Item) -> bool:
    """Schedules that come through a group (`memberType`) are listed too; they go with the group."""
    return str(item.get("memberType", "")).lower() != "group"


def _direct(item: Item) -> bool:
    """App roles that come through a group are listed too; they go with the group."""
    return str(item.get("principalType", "User")) == "User"
