"""Which application permissions each operation needs: any of the alternatives; `+` joins what is needed together.

Sources: the permission table of each operation's page under learn.microsoft.com/graph/api, and facts 2 to 4. Broader
permissions are listed only where they are application permissions that Microsoft documents for the operation.
"""

from __future__ import annotations

from collections.abc import Iterable

_USERS = "User.Read.All | User.ReadWrite.All | Directory.Read.All | Directory.ReadWrite.All"
_GROUPS = (
    "GroupMember.Read.All | GroupMember.ReadWrite.All | Group.Read.All | Group.ReadWrite.All | "
    "Directory.Read.All | Directory.ReadWrite.All"
)
_DIRECTORY = "Directory.Read.All | Directory.ReadWrite.All"
_SEATS = "GroupMember.ReadWrite.All | Group.ReadWrite.All | Directory.ReadWrite.All"
_OWNERS = "Group.ReadWrite.All | Directory.ReadWrite.All"
_DELETE_USER = "User.DeleteRestore.All | User.ReadWrite.All"
_METHODS = "UserAuthenticationMethod.Read.All | UserAuthenticationMethod.ReadWrite.All"
_METHODS_WRITE = "UserAuthenticationMethod.ReadWrite.All"
_APP_ROLES = "Directory.Read.All | Directory.ReadWrite.All | AppRoleAssignment.ReadWrite.All"
_GRANTS = (
    "Directory.Read.All | Directory.ReadWrite.All | DelegatedPermissionGrant.Read.All | "
    "DelegatedPermissionGrant.ReadWrite.All"
)
_APPLICATIONS = "Application.Read.All | Application.ReadWrite.All | Directory.Read.All | Directory.ReadWrite.All"
_ROLES = (
    "RoleManagement.Read.Directory | RoleManagement.ReadWrite.Directory | RoleManagement.Read.All | "
    "Directory.Read.All | Directory.ReadWrite.All"
)
_ROLES_WRITE = "RoleManagement.ReadWrite.Directory"
_PACKAGES = "EntitlementManagement.Read.All | EntitlementManagement.ReadWrite.All"
_PACKAGES_WRITE = "EntitlementManagement.ReadWrite.All"


def _role_schedules(kind: str) -> str:
    return (
        f"Role{kind}Schedule.Read.Directory | Role{kind}Schedule.ReadWrite.Directory | "
        "RoleManagement.Read.Directory | RoleManagement.ReadWrite.Directory | RoleManagement.Read.All"
    )


def _role_requests(kind: str) -> str:
    return (
        f"Role{kind}Schedule.ReadWrite.Directory | Role{kind}Schedule.Remove.Directory | "
        "RoleManagement.ReadWrite.Directory"
    )


def _group_schedules(kind: str) -> str:
    return (
        f"Privileged{kind}Schedule.Read.AzureADGroup | Privileged{kind}Schedule.ReadWrite.AzureADGroup | "
        f"Privileged{kind}Schedule.Remove.AzureADGroup"
    )


def _group_requests(kind: str) -> str:
    return f"Privileged{kind}Schedule.ReadWrite.AzureADGroup | Privileged{kind}Schedule.Remove.AzureADGroup"


_PIM = "identityGovernance/privilegedAccess/group"
_EM = "identityGovernance/entitlementManagement"
_ROLE = "roleManagement/directory"

PERMISSIONS: dict[str, str] = {
    "GET users": _USERS,
    "GET users/{user}": _USERS,
    "POST users": "User.ReadWrite.All | Directory.ReadWrite.All",
    "PATCH users/{user}": "User.ReadWrite.All | Directory.ReadWrite.All",
    "DELETE users/{user}": _DELETE_USER,
    "POST users/{user}/revokeSignInSessions": (
        "User.RevokeSessions.All | User.ReadWrite.All | Directory.ReadWrite.All"
    ),
    "GET users/{user}/manager": _USERS,
    "GET users/{user}/memberOf": f"{_USERS} | GroupMember.Read.All | Group.Read.All",
    "GET users/{user}/transitiveMemberOf": f"{_USERS} | GroupMember.Read.All | Group.Read.All",
    "GET users/{user}/ownedObjects": _USERS,
    "GET users/{user}/registeredDevices": _DIRECTORY,
    "GET users/{user}/ownedDevices": _DIRECTORY,
    "GET users/{user}/appRoleAssignments": _APP_ROLES,
    "DELETE users/{user}/appRoleAssignments/{assignment}": "AppRoleAssignment.ReadWrite.All",
    "GET users/{user}/oauth2PermissionGrants": _GRANTS,
    "GET users/{user}/authentication/methods": _METHODS,
    "GET groups": _GROUPS,
    "GET groups/{group}": _GROUPS,
    "GET groups/{group}/members": _GROUPS,
    "GET groups/{group}/transitiveMembers": _GROUPS,
    "POST groups/{group}/members/$ref": _SEATS,
    "DELETE groups/{group}/members/{object}/$ref": _SEATS,
    "DELETE groups/{group}/members/{object}": _DELETE_USER,
    "GET groups/{group}/owners": _GROUPS,
    "POST groups/{group}/owners/$ref": _OWNERS,
    "DELETE groups/{group}/owners/{object}/$ref": _OWNERS,
    "POST directoryObjects/getByIds": _DIRECTORY,
    "GET directory/deletedItems/microsoft.graph.user": _USERS,
    "GET directory/deletedItems/{item}": _USERS,
    "DELETE directory/deletedItems/{item}": _DELETE_USER,
    "POST directory/deletedItems/{item}/restore": _DELETE_USER,
    "GET oauth2PermissionGrants": _GRANTS,
    "DELETE oauth2PermissionGrants/{grant}": ("DelegatedPermissionGrant.ReadWrite.All | Directory.ReadWrite.All"),
    "GET servicePrincipals": _APPLICATIONS,
    "GET servicePrincipals/{principal}": _APPLICATIONS,
    "GET servicePrincipals/{principal}/appRoleAssignments": (f"{_APPLICATIONS} | AppRoleAssignment.ReadWrite.All"),
    "GET organization": "Organization.Read.All | Directory.Read.All | Directory.ReadWrite.All",
    f"GET {_ROLE}/roleDefinitions": _ROLES,
    f"GET {_ROLE}/roleAssignments": _ROLES,
    f"DELETE {_ROLE}/roleAssignments/{{assignment}}": _ROLES_WRITE,
    f"GET {_ROLE}/roleEligibilitySchedules": _role_schedules("Eligibility"),
    f"GET {_ROLE}/roleEligibilityScheduleInstances": _role_schedules("Eligibility"),
    f"GET {_ROLE}/roleAssignmentSchedules": _role_schedules("Assignment"),
    f"GET {_ROLE}/roleAssignmentScheduleInstances": _role_schedules("Assignment"),
    f"GET {_ROLE}/roleEligibilityScheduleRequests": _role_schedules("Eligibility"),
    f"GET {_ROLE}/roleAssignmentScheduleRequests": _role_schedules("Assignment"),
    f"POST {_ROLE}/roleEligibilityScheduleRequests": _role_requests("Eligibility"),
    f"POST {_ROLE}/roleAssignmentScheduleRequests": _role_requests("Assignment"),
    f"GET {_PIM}/eligibilitySchedules": _group_schedules("Eligibility"),
    f"GET {_PIM}/eligibilityScheduleInstances": _group_schedules("Eligibility"),
    f"GET {_PIM}/assignmentSchedules": _group_schedules("Assignment"),
    f"GET {_PIM}/assignmentScheduleInstances": _group_schedules("Assignment"),
    f"GET {_PIM}/eligibilityScheduleRequests": _group_schedules("Eligibility"),
    f"GET {_PIM}/assignmentScheduleRequests": _group_schedules("Assignment"),
    f"POST {_PIM}/eligibilityScheduleRequests": _group_requests("Eligibility"),
    f"POST {_PIM}/assignmentScheduleRequests": _group_requests("Assignment"),
    f"GET {_EM}/accessPackages": _PACKAGES,
    f"GET {_EM}/assignments": _PACKAGES,
    f"GET {_EM}/assignmentRequests": _PACKAGES,
    f"GET {_EM}/assignmentRequests/{{request}}": _PACKAGES,
    f"POST {_EM}/assignmentRequests": _PACKAGES_WRITE,
}

METHOD_KINDS: dict[str, str] = {
    "emailMethods": "emailAuthenticationMethod",
    "fido2Methods": "fido2AuthenticationMethod",
    "microsoftAuthenticatorMethods": "microsoftAuthenticatorAuthenticationMethod",
    "passwordMethods": "passwordAuthenticationMethod",
    "phoneMethods": "phoneAuthenticationMethod",
    "softwareOathMethods": "softwareOathAuthenticationMethod",
    "temporaryAccessPassMethods": "temporaryAccessPassAuthenticationMethod",
    "windowsHelloForBusinessMethods": "windowsHelloForBusinessAuthenticationMethod",
}
"""Collections of authentication methods, with the type that each holds."""

for _collection in METHOD_KINDS:
    PERMISSIONS[f"GET users/{{user}}/authentication/{_collection}"] = _METHODS
    if _collection != "passwordMethods":
        PERMISSIONS[f"DELETE users/{{user}}/authentication/{_collection}/{{method}}"] = _METHODS_WRITE
PERMISSIONS["POST users/{user}/authentication/temporaryAccessPassMethods"] = _METHODS_WRITE

WRITE_PROPERTY: dict[tuple[str, str], str] = {
    ("user", "accountEnabled"): "User.EnableDisableAccount.All + User.Read.All | User.ReadWrite.All",
    ("user", "employeeLeaveDateTime"): "User-LifeCycleInfo.ReadWrite.All + User.Read.All",
}
"""Properties whose writing has permissions of its own, which stand in for those of the operation (facts 2, 3)."""

READ_PROPERTY: dict[tuple[str, str], str] = {
    ("user", "employeeLeaveDateTime"): "User-LifeCycleInfo.Read.All | User-LifeCycleInfo.ReadWrite.All",
}
"""Properties that read as null, without an error, for callers who lack these (facts, number 8)."""

READ_TYPE: dict[str, str] = {
    "group": _GROUPS,
    "directoryRole": _ROLES,
    "administrativeUnit": (
        "AdministrativeUnit.Read.All | AdministrativeUnit.ReadWrite.All | Directory.Read.All | Directory.ReadWrite.All"
    ),
    "device": "Device.Read.All | Device.ReadWrite.All | Directory.Read.All | Directory.ReadWrite.All",
    "servicePrincipal": _APPLICATIONS,
    "user": f"{_USERS} | User.ReadBasic.All",
}
"""Objects of other types in a collection show only id and type to callers who lack these (learn: permissions
overview, "limited information returned for inaccessible member objects")."""


def allowed(needed: str, held: Iterable[str]) -> bool:
    """Whether the held permissions satisfy one of the alternatives."""
    have = set(held)
    return any({name.strip() for name in one.split("+")} <= have for one in needed.split("|"))


def hidden_properties(entity: str, held: frozenset[str]) -> frozenset[str]:
    """Properties of a type that read as null for a caller with these permissions."""
    return frozenset(
        name for (kind, name), needed in READ_PROPERTY.items() if kind == entity and not allowed(needed, held)
    )
