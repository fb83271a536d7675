"""What Graph refuses of users, groups and their authentication methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.graph.refusal import Refusal
from sandbox.graph.schema import entity_type

if TYPE_CHECKING:
    from sandbox.graph.calls import Call
    from sandbox.graph.store import Row

DENIED = "Insufficient privileges to complete the operation."
SENSITIVE_ROLES = ("Privileged Authentication Administrator", "Global Administrator")
UNIT_ROLES = ("User Administrator", "Groups Administrator", *SENSITIVE_ROLES)

_SEATS = (
    "POST groups/{group}/members/$ref",
    "DELETE groups/{group}/members/{object}/$ref",
    "POST groups/{group}/owners/$ref",
    "DELETE groups/{group}/owners/{object}/$ref",
)
_MEMBERSHIPS = _SEATS[:2]
_DELETE_USER = ("DELETE users/{user}", "DELETE groups/{group}/members/{object}")
_METHODS = tuple(
    f"DELETE users/{{user}}/authentication/{kind}/{{method}}"
    for kind in (
        "emailMethods",
        "fido2Methods",
        "microsoftAuthenticatorMethods",
        "phoneMethods",
        "softwareOathMethods",
        "temporaryAccessPassMethods",
        "windowsHelloForBusinessMethods",
    )
)


def _user(call: Call) -> Row:
    key = call.directory.user_key(call.params.get("user") or call.params["object"])
    return call.directory["users"].get(key) or {"id": key}


def _group(call: Call) -> Row:
    return call.row("groups", "group") or {}


def _lacks_sensitive_role(call: Call) -> bool:
    may = call.directory.holds(call.caller.object_id, *SENSITIVE_ROLES)
    return call.directory.is_privileged(_user(call)["id"]) and not may


def _sensitive_change(call: Call) -> bool:
    properties = entity_type("user").properties
    return any(properties[name].sensitive for name in call.body) and _lacks_sensitive_role(call)


def _outside_unit(call: Call, key: str) -> bool:
    """Whether the object is in a restricted unit at whose scope the caller holds no role."""
    units = call.directory.restricting_units(key)
    scopes = (f"/administrativeUnits/{unit}" for unit in units)
    return bool(units) and not any(
        call.directory.holds(call.caller.object_id, *UNIT_ROLES, scope=scope) for scope in scopes
    )


def _synced_change(call: Call) -> bool:
    """Cloud-managed properties of a synced user may be written; what the on-premises directory masters may not."""
    cloud_side = {"employeeLeaveDateTime", "usageLocation", "passwordProfile"}
    return _user(call).get("onPremisesSyncEnabled") is True and bool(set(call.body) - cloud_side)


def _name_taken(call: Call) -> bool:
    name = str(call.body.get("userPrincipalName", "")).casefold()
    found = next(call.directory["users"].where("_upn", name), None) if name else None
    return found is not None and found["id"] != (_user(call)["id"] if call.params else "")


def _employee_id_too_long(call: Call) -> bool:
    return len(call.body.get("employeeId") or "") > 16


def _types(call: Call) -> list[str]:
    return list(_group(call).get("groupTypes") or ())


def _mail_enabled(call: Call) -> bool:
    return bool(_group(call).get("mailEnabled")) and "Unified" not in _types(call)


def _relation(call: Call) -> str:
    return "members" if "/members" in call.asked.path else "owners"


def _not_linked(call: Call) -> bool:
    key = call.params["object"]
    link = call.directory.linked(_relation(call), call.params["group"], key)
    return link is None or call.directory.object(key) is None


def _already_linked(call: Call) -> bool:
    wanted = str(call.body.get("@odata.id", "")).rsplit("/", 1)[-1]
    return call.directory.linked(_relation(call), call.params["group"], wanted) is not None


def _last_owner(call: Call) -> bool:
    owners = list(call.directory["owners"].where("_holder", call.params["group"]))
    return len(owners) == 1


DIRECTORY: tuple[Refusal, ...] = (
    Refusal(
        "sensitive-change",
        403,
        "Authorization_RequestDenied",
        DENIED,
        "learn resources/users (who can perform sensitive actions); facts 3",
        on=("PATCH users/{user}",),
        when=_sensitive_change,
    ),
    Refusal(
        "sensitive-delete",
        403,
        "Authorization_RequestDenied",
        DENIED,
        "learn resources/users (who can perform sensitive actions); facts 3",
        on=_DELETE_USER,
        when=_lacks_sensitive_role,
    ),
    Refusal(
        "sensitive-method",
        403,
        "accessDenied",
        "Request Authorization failed",
        "learn api/authenticationmethods-overview (roles by the target's own roles); common",
        on=_METHODS,
        when=_lacks_sensitive_role,
    ),
    Refusal(
        "restricted-unit-user",
        403,
        "Authorization_RequestDenied",
        "Insufficient privileges to complete the operation. Target object is a member of a restricted management "
        "administrative unit and can only be modified by administrators scoped to that administrative unit.",
        "learn /entra/identity/role-based-access-control/admin-units-restricted-management; facts 3",
        on=("PATCH users/{user}", *_DELETE_USER),
        when=lambda call: _outside_unit(call, _user(call)["id"]),
    ),
    Refusal(
        "restricted-unit-group",
        403,
        "Authorization_RequestDenied",
        "Insufficient privileges to complete the operation. Target object is a member of a restricted management "
        "administrative unit and can only be modified by administrators scoped to that administrative unit.",
        "learn /entra/identity/role-based-access-control/admin-units-restricted-management; facts 3",
        on=_SEATS,
        when=lambda call: _outside_unit(call, call.params["group"]),
    ),
    Refusal(
        "synced-user",
        400,
        "Request_BadRequest",
        "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects "
        "currently undergoing migration.",
        "facts 3",
        on=("PATCH users/{user}",),
        when=_synced_change,
    ),
    Refusal(
        "name-taken",
        400,
        "Request_BadRequest",
        "Another object with the same value for property userPrincipalName already exists.",
        "facts 4",
        on=("POST users", "PATCH users/{user}"),
        when=_name_taken,
    ),
    Refusal(
        "employee-id-too-long",
        400,
        "Request_BadRequest",
        "Invalid value specified for property 'employeeId' of resource 'User'.",
        "facts 4",
        on=("POST users", "PATCH users/{user}"),
        when=_employee_id_too_long,
    ),
    Refusal(
        "role-assignable-group",
        403,
        "Authorization_RequestDenied",
        DENIED,
        "learn api/group-delete-members; facts 3",
        on=_SEATS,
        when=lambda call: (
            bool(_group(call).get("isAssignableToRole"))
            and "RoleManagement.ReadWrite.Directory" not in call.caller.permissions
        ),
    ),
    Refusal(
        "synced-group",
        400,
        "Request_BadRequest",
        "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects "
        "currently undergoing migration.",
        "facts 3",
        on=_SEATS,
        when=lambda call: _group(call).get("onPremisesSyncEnabled") is True,
    ),
    Refusal(
        "mail-enabled-group",
        400,
        "Request_BadRequest",
        "Cannot Update a mail-enabled security groups and or distribution list.",
        "facts 3",
        on=_SEATS,
        when=_mail_enabled,
    ),
    Refusal(
        "dynamic-group",
        400,
        "Request_BadRequest",
        "Insufficient privileges to complete the operation: the members of a group with dynamic membership "
        "cannot be changed.",
        "facts 3; common",
        on=_MEMBERSHIPS,
        when=lambda call: "DynamicMembership" in _types(call),
    ),
    Refusal(
        "not-a-member",
        404,
        "Request_ResourceNotFound",
        "Resource '{object}' does not exist or one of its queried reference-property objects are not present.",
        "facts 3",
        on=(_SEATS[1], _SEATS[3], "DELETE groups/{group}/members/{object}"),
        when=_not_linked,
    ),
    Refusal(
        "already-a-member",
        400,
        "Request_BadRequest",
        "One or more added object references already exist for the following modified properties: 'members'.",
        "facts 4",
        on=(_SEATS[0], _SEATS[2]),
        when=_already_linked,
    ),
    Refusal(
        "last-owner",
        400,
        "Request_BadRequest",
        "The group must have at least one owner, hence this owner cannot be removed.",
        "learn api/group-delete-owners",
        on=(_SEATS[3],),
        when=_last_owner,
    ),
    Refusal(
        "pass-lifetime",
        400,
        "invalidRequest",
        "Temporary Access Pass lifetime must be between 10 and 43200 minutes.",
        "facts 4",
        on=("POST users/{user}/authentication/temporaryAccessPassMethods",),
        when=lambda call: not 10 <= int(call.body.get("lifetimeInMinutes") or 60) <= 43200,
    ),
)
