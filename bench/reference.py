"""The reference leaver: an analyst whose account has 44 things of every kind that an account can have."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from tests.e2e.holdings import PASSWORD
from tests.e2e.worlds import Data, Person, person_of, team

Names = Sequence[str]

ITEMS = MappingProxyType(
    {
        "assigned groups": 12,
        "role-assignable groups": 3,
        "dynamic groups": 4,
        "PIM eligibilities for groups": 3,
        "PIM assignments to groups": 1,
        "eligible Entra roles": 2,
        "permanent Entra roles": 1,
        "access packages": 4,
        "app roles": 5,
        "OAuth2 grants": 3,
        "authentication methods": 4,
        "owned groups": 2,
    }
)
STAY = ("dynamic groups", "owned groups")
"""What no application permission can take away: a rule decides who belongs, an object needs another owner."""
REMOVABLE = sum(count for kind, count in ITEMS.items() if kind not in STAY)

OF_TEAM = 2
"""Assigned groups that every world of a team has already."""
METHODS: tuple[Data, ...] = (
    {"kind": "phone", "id": "3179e48a-750b-4051-897c-87b9720928f7", "phoneNumber": "+1 5550100", "phoneType": "mobile"},
    {"kind": "authenticator", "displayName": "Phone", "phoneAppVersion": "6.8.14"},
    {"kind": "fido2", "displayName": "Security key", "model": "YubiKey 5 NFC"},
    {"kind": "oath"},
)
ELIGIBLE_ROLES = ("Security Operator", "Security Administrator")
PERMANENT_ROLE = "Security Reader"
DEFAULT_METHOD_REFUSAL = MappingProxyType(
    {"tenant": "mssp", "method": "DELETE", "path": "/phoneMethods/", "status": 400, "times": 1}
)
"""Graph refuses to take the default method while others are left; the sandbox does so where a fault says so."""


def leaver(at: int) -> Person:
    """The person and the account of leaver number `at`."""
    return person_of(_name(at))


def reference_world(leavers: int = 1, **settings: Any) -> Data:
    """A world of that many reference leavers; `settings` are the sandbox's (docs/sandbox.md)."""
    names = [_name(at) for at in range(leavers)]
    accounts = [person_of(name).account for name in names]
    return {"settings": settings, **team(*names, mssp=_mssp(accounts))}


def _name(at: int) -> str:
    return f"leaver{at:04d}"


def _mssp(accounts: Names) -> Data:
    return {
        "groups": [
            *_groups("Assigned", ITEMS["assigned groups"] - OF_TEAM, members=accounts),
            *_groups("Privileged", ITEMS["role-assignable groups"], members=accounts, kind="role-assignable"),
            *_groups("Dynamic", ITEMS["dynamic groups"], members=accounts, kind="dynamic"),
            *_groups("Owned", ITEMS["owned groups"], owners=accounts),
            *_groups("Duty", ITEMS["PIM eligibilities for groups"], pim=True),
            *_groups("On call", ITEMS["PIM assignments to groups"], pim=True),
        ],
        "group_eligibilities": _each(accounts, "group", _names("Duty", ITEMS["PIM eligibilities for groups"])),
        "group_activations": _each(accounts, "group", _names("On call", ITEMS["PIM assignments to groups"])),
        "role_eligibilities": _each(accounts, "role", ELIGIBLE_ROLES),
        "role_assignments": _each(accounts, "role", [PERMANENT_ROLE]),
        "access_packages": [
            {"displayName": name, "assigned": list(accounts)} for name in _names("Package", ITEMS["access packages"])
        ],
        "service_principals": [
            {"displayName": name}
            for name in (
                *_names("Application", ITEMS["app roles"]),
                *_names("Client", ITEMS["OAuth2 grants"]),
                "Resource",
            )
        ],
        "app_roles": _each(accounts, "resource", _names("Application", ITEMS["app roles"])),
        "oauth2_grants": [
            {"principal": account, "client": client, "resource": "Resource", "scope": "User.Read"}
            for account in accounts
            for client in _names("Client", ITEMS["OAuth2 grants"])
        ],
        "authentication_methods": {account: list(METHODS) for account in accounts},
    }


def _names(name: str, count: int) -> list[str]:
    return [f"{name} {at}" for at in range(count)]


def _groups(name: str, count: int, **properties: Any) -> list[Data]:
    given = {key: list(value) if isinstance(value, tuple | list) else value for key, value in properties.items()}
    return [{"displayName": one, **given} for one in _names(name, count)]


def _each(accounts: Names, field: str, values: Names) -> list[Data]:
    return [{"principal": account, field: value} for account in accounts for value in values]


def held(tenant: Data, account: str) -> dict[str, int]:
    """What the account has, counted under the names of ITEMS; kinds of which it has nothing are left out."""
    groups = [group for group in tenant["groups"] if account in group["members"]]
    dynamic = [group for group in groups if "DynamicMembership" in (group.get("groupTypes") or ())]
    privileged = [group for group in groups if group.get("isAssignableToRole")]
    active = {one["groupId"] for one in tenant["groupAssignmentSchedules"] if one["principalId"] == account}
    through_pim = [group for group in groups if group["id"] in active]
    counts = {
        "assigned groups": len(groups) - len(dynamic) - len(privileged) - len(through_pim),
        "role-assignable groups": len(privileged),
        "dynamic groups": len(dynamic),
        "PIM eligibilities for groups": _of(tenant, "groupEligibilitySchedules", account),
        "PIM assignments to groups": _of(tenant, "groupAssignmentSchedules", account),
        "eligible Entra roles": _of(tenant, "roleEligibilitySchedules", account),
        "permanent Entra roles": _of(tenant, "roleAssignments", account),
        "access packages": sum(one["target"]["objectId"] == account for one in tenant["accessPackageAssignments"]),
        "app roles": _of(tenant, "appRoleAssignments", account),
        "OAuth2 grants": _of(tenant, "oauth2PermissionGrants", account),
        "authentication methods": sum(
            one["@odata.type"] != PASSWORD for one in tenant["authenticationMethods"].get(account, ())
        ),
        "owned groups": sum(account in group["owners"] for group in tenant["groups"]),
    }
    return {kind: count for kind, count in counts.items() if count}


def _of(tenant: Data, table: str, account: str) -> int:
    return sum(one["principalId"] == account for one in tenant[table])
