"""Who may do what in which tenant: the one table of Graph application permissions that the app needs.

`doctor` checks it, the sandbox consents to it by default, and a deployment grants it. Every row says what would
stop working without it, so that least privilege can be argued row by row. Names and least privileges are those of
Microsoft's permission reference for each call.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class TenantRole(StrEnum):
    """The part a tenant plays for the app."""

    CORPORATE = "corporate"
    MSSP = "mssp"
    CUSTOMER = "customer"


@dataclass(frozen=True)
class Permission:
    """One application permission; `probe` is a harmless read that fails without it (none: there is no such read)."""

    name: str
    tenant: TenantRole
    purpose: str
    probe: str | None = None


NOBODY = "00000000-0000-0000-0000-000000000000"
_PIM_GROUPS = "/identityGovernance/privilegedAccess/group"

PERMISSIONS: tuple[Permission, ...] = (
    Permission("User.Read.All", TenantRole.CORPORATE, "read people", "/users?$top=1&$select=id"),
    Permission(
        "User-LifeCycleInfo.Read.All",
        TenantRole.CORPORATE,
        "read leave dates (without it they read as null, with no error: only the canary shows it)",
    ),
    Permission(
        "Directory.Read.All",
        TenantRole.CORPORATE,
        "read linked people by id, a thousand at a time",
    ),
    Permission("User.Read.All", TenantRole.MSSP, "find and read accounts", "/users?$top=1&$select=id"),
    Permission("User.EnableDisableAccount.All", TenantRole.MSSP, "disable the account"),
    Permission("User.RevokeSessions.All", TenantRole.MSSP, "revoke its sessions"),
    Permission("User.ReadWrite.All", TenantRole.MSSP, "stamp the link and the retention date on the account"),
    Permission("User.DeleteRestore.All", TenantRole.MSSP, "delete it after its retention"),
    Permission(
        "Directory.Read.All",
        TenantRole.MSSP,
        "read memberships, owned objects and devices",
    ),
    Permission("GroupMember.ReadWrite.All", TenantRole.MSSP, "leave assigned groups"),
    Permission(
        "RoleManagement.ReadWrite.Directory",
        TenantRole.MSSP,
        "end Entra roles and leave role-assignable groups",
        f"/roleManagement/directory/roleAssignments?$filter=principalId eq '{NOBODY}'",
    ),
    Permission(
        "PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup",
        TenantRole.MSSP,
        "end eligibilities in PIM for groups",
        f"{_PIM_GROUPS}/eligibilitySchedules?$filter=principalId eq '{NOBODY}'",
    ),
    Permission(
        "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup",
        TenantRole.MSSP,
        "end active assignments in PIM for groups",
        f"{_PIM_GROUPS}/assignmentSchedules?$filter=principalId eq '{NOBODY}'",
    ),
    Permission(
        "EntitlementManagement.ReadWrite.All",
        TenantRole.MSSP,
        "end access package assignments",
        f"/identityGovernance/entitlementManagement/assignments?$filter=target/objectId eq '{NOBODY}'",
    ),
    Permission("AppRoleAssignment.ReadWrite.All", TenantRole.MSSP, "remove app roles"),
    Permission(
        "DelegatedPermissionGrant.ReadWrite.All",
        TenantRole.MSSP,
        "revoke delegated grants",
        f"/oauth2PermissionGrants?$filter=principalId eq '{NOBODY}'",
    ),
    Permission("UserAuthenticationMethod.ReadWrite.All", TenantRole.MSSP, "remove authentication methods"),
    Permission("User.Read.All", TenantRole.CUSTOMER, "find guests of the person", "/users?$top=1&$select=id"),
)

PRIVILEGED_ROLE = "Privileged Authentication Administrator"
"""The Entra role that the app itself must hold in the MSSP tenant: application permissions alone cannot disable or
delete holders of Entra roles, or members and owners of role-assignable groups (Microsoft: sensitive actions)."""


TABLES = ("breaker", "closings", "holds", "people", "runs", "schedule", "terminations")
"""The tables that the app may change; `ledger` it may only add to."""


def markdown() -> str:
    """The table for people: docs/permissions.md is this text."""
    tables = ", ".join(f"`{name}`" for name in TABLES)
    rows = "\n".join(f"| {one.tenant.value} | `{one.name}` | {one.purpose} |" for one in PERMISSIONS)
    return f"""# Permissions

Graph application permissions of the multitenant app, tenant by tenant. `python -m jml doctor` names the missing ones.
Made from `jml/permissions.py` by `make schemas`.

| tenant | permission | it is there to |
|---|---|---|
{rows}

In the MSSP tenant the app's service principal also holds the Entra role **{PRIVILEGED_ROLE}**:
application permissions alone cannot disable or delete holders of Entra roles, or members and owners of role-assignable
groups.

In its own subscription the managed identity needs:

| role | on | it is there to |
|---|---|---|
| Storage Table Data Contributor | each of the tables {tables} | keep the app's own rows |
| JML Ledger Writer | the table `ledger` | read and add rows; not to change or delete them |
| JML Checkpoint Writer | the container of checkpoints | read and add them; not to change or delete them |
| JML Checkpoint Signer | the signing key in Key Vault | read its public part, and sign |
| Azure Service Bus Data Sender, Data Receiver | the namespace | send and receive lifecycle events |

The roles whose names begin with JML are custom ones: [proof](proof.md) has their definitions. Never give the first one
on the whole storage account: it would open the ledger."""


GRANTS: dict[str, list[str]] = {role.value: [p.name for p in PERMISSIONS if p.tenant is role] for role in TenantRole}
"""Tenant role → names of its permissions."""
