"""What the sandbox says that an account has: the judge of every end state, beside the app's own words."""

from __future__ import annotations

from typing import Any

Tenant = dict[str, Any]
OF_PRINCIPAL = (
    "roleAssignments",
    "roleAssignmentSchedules",
    "roleEligibilitySchedules",
    "groupAssignmentSchedules",
    "groupEligibilitySchedules",
    "appRoleAssignments",
    "oauth2PermissionGrants",
)
MARK = "extensionAttribute15"
PASSWORD = "#microsoft.graph.passwordAuthenticationMethod"


def user(tenant: Tenant, account: str, among: str = "users") -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in tenant[among] if one["id"] == account)
    return found


def holdings(tenant: Tenant, account: str) -> dict[str, Any]:
    """Everything that the account has, by kind; kinds of which it has nothing are left out."""
    held: dict[str, Any] = {
        "groups": sorted(group["id"] for group in tenant["groups"] if account in group["members"]),
        "owned groups": sorted(group["id"] for group in tenant["groups"] if account in group["owners"]),
        "devices": sorted(one["id"] for one in tenant["devices"] if account in one["registeredOwners"]),
        "packages": sorted(
            one["id"] for one in tenant["accessPackageAssignments"] if one["target"]["objectId"] == account
        ),
        "methods": sorted(
            one["id"] for one in tenant["authenticationMethods"].get(account, []) if one["@odata.type"] != PASSWORD
        ),
    }
    for kind in OF_PRINCIPAL:
        held[kind] = sorted(one["id"] for one in tenant[kind] if one["principalId"] == account)
    return {kind: ids for kind, ids in held.items() if ids}


def everything_of(tenant: Tenant, account: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The account and all that it has: equal before and after means that nobody touched it."""
    return user(tenant, account), holdings(tenant, account)


def group_kind(group: dict[str, Any]) -> str:
    """Whether and why an application cannot take members from a group; empty when it can."""
    kinds = {
        "dynamic group": "DynamicMembership" in (group.get("groupTypes") or []),
        "synced group": group.get("onPremisesSyncEnabled") is True,
        "mail-enabled group": group.get("mailEnabled") is True and "Unified" not in (group.get("groupTypes") or []),
        "restricted group": group.get("isManagementRestricted") is True,
    }
    return next((kind for kind, applies in kinds.items() if applies), "")


def allowed_to_stay(tenant: Tenant, account: str, before: dict[str, Any]) -> dict[str, Any]:
    """What a leaver keeps for a reason: groups that no application may change, owned objects, devices."""
    fixed = {group["id"] for group in tenant["groups"] if group_kind(group)}
    kept = {
        "groups": [one for one in before.get("groups", []) if one in fixed],
        "owned groups": before.get("owned groups", []),
        "devices": before.get("devices", []),
    }
    return {kind: ids for kind, ids in kept.items() if ids}
