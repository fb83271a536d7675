"""Whether the demo ended well, judged from the directory itself and not from what the app says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

State = Mapping[str, Any]
HELD_BY_PRINCIPAL = (
    "roleAssignments",
    "roleAssignmentSchedules",
    "roleEligibilitySchedules",
    "groupEligibilitySchedules",
    "groupAssignmentSchedules",
    "appRoleAssignments",
    "oauth2PermissionGrants",
)
"""Collections of a tenant's state whose items name their holder in `principalId`."""

UNTOUCHABLE = ("onPremisesSyncEnabled", "isManagementRestricted")


def wrong(before: State, after: State, account: str, stays: frozenset[str]) -> list[str]:
    """What is not as it should be: empty when the account is contained, cleaned and marked, and all else untouched.

    `before` and `after` are the MSSP tenant's state; `stays` the object ids that the evidence reports as staying.
    """
    user = _user(after, account)
    found = [] if user.get("accountEnabled") is False else ["the account is enabled"]
    revoked = user.get("signInSessionsValidFromDateTime", "")
    if revoked <= _user(before, account).get("signInSessionsValidFromDateTime", ""):
        found.append("its sessions were not revoked")
    marks = user.get("onPremisesExtensionAttributes") or {}
    if not any(str(value).startswith("delete-after ") for value in marks.values()):
        found.append("it carries no retention date")
    left = {kind: len(held(after, kind, account)) for kind in HELD_BY_PRINCIPAL}
    found += [f"it still has {count} of {kind}" for kind, count in left.items() if count]
    if packages(after, account):
        found.append("it still has an access package")
    if methods(after, account):
        found.append("it still has authentication methods")
    found += [
        f"it is still a member of {group['displayName']}, and nothing says why"
        for group in groups(after, account)
        if group["id"] not in stays or not _cannot_be_left(group)
    ]
    return found + _bystanders(before, after, account)


def _bystanders(before: State, after: State, account: str) -> list[str]:
    """Everybody else has what they had."""
    found: list[str] = []
    for user in before["users"]:
        other = user["id"]
        if other == account:
            continue
        if user != _user(after, other):
            found.append(f"account {other} was changed")
        if {g["id"] for g in groups(before, other)} != {g["id"] for g in groups(after, other)}:
            found.append(f"the groups of account {other} were changed")
        found += [
            f"{kind} of account {other} was changed"
            for kind in HELD_BY_PRINCIPAL
            if len(held(before, kind, other)) != len(held(after, kind, other))
        ]
    return found


def _cannot_be_left(group: Mapping[str, Any]) -> bool:
    kinds = group.get("groupTypes") or []
    by_mail = group.get("mailEnabled") is True and "Unified" not in kinds
    return "DynamicMembership" in kinds or by_mail or any(group.get(name) is True for name in UNTOUCHABLE)


def _user(state: State, account: str) -> Mapping[str, Any]:
    return next((user for user in state["users"] if user["id"] == account), {})


def held(state: State, kind: str, account: str) -> list[Mapping[str, Any]]:
    return [item for item in state.get(kind, []) if item.get("principalId") == account]


def groups(state: State, account: str) -> list[Mapping[str, Any]]:
    return [group for group in state["groups"] if account in group["members"]]


def packages(state: State, account: str) -> list[Mapping[str, Any]]:
    return [
        item
        for item in state["accessPackageAssignments"]
        if (item.get("target") or {}).get("objectId") == account and item.get("state") != "expired"
    ]


def methods(state: State, account: str) -> list[Mapping[str, Any]]:
    found = state["authenticationMethods"].get(account, [])
    return [method for method in found if "password" not in str(method.get("@odata.type", "")).lower()]
