"""What an account has: what can be taken from it, and what stays, with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from jml.accounts import Holdings
from jml.holdings import METHODS, READINGS, weigh
from jml.permissions import PERMISSIONS, TenantRole
from jml.steps import (
    EndGroupAssignment,
    EndGroupEligibility,
    EndPackage,
    EndRoleAssignment,
    EndRoleEligibility,
    LeaveGroup,
    RemoveAppRole,
    RemoveMethod,
    RemoveRoleAssignment,
    RevokeGrant,
)

NOTHING: dict[str, list[dict[str, Any]]] = {reading.name: [] for reading in READINGS}


def held(**found: Any) -> Holdings:
    return weigh("a", {**NOTHING, **{name.replace("_", " "): items for name, items in found.items()}})


def group(key: str = "g", **facts: Any) -> dict[str, Any]:
    return {"@odata.type": "#microsoft.graph.group", "id": key, "groupTypes": [], "mailEnabled": False, **facts}


def seat(key: str = "g", access: str = "member") -> dict[str, Any]:
    return {"groupId": key, "accessId": access}


def role(key: str = "r", scope: str | None = "/", **facts: Any) -> dict[str, Any]:
    return {"id": f"{key}-{scope}", "roleDefinitionId": key, "directoryScopeId": scope, **facts}


def test_an_account_that_has_nothing_needs_nothing() -> None:
    assert held() == Holdings()


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({}, None),
        ({"isAssignableToRole": True}, None),
        ({"groupTypes": ["Unified"], "mailEnabled": True}, None),
        ({"groupTypes": None}, None),
        ({"groupTypes": ["DynamicMembership"]}, "dynamic group"),
        ({"groupTypes": ["Unified", "DynamicMembership"], "mailEnabled": True}, "dynamic group"),
        ({"onPremisesSyncEnabled": True}, "synced group"),
        ({"mailEnabled": True}, "mail-enabled group"),
        ({"isManagementRestricted": True}, "restricted group"),
        ({"onPremisesSyncEnabled": None, "isManagementRestricted": None}, None),
    ],
)
def test_each_kind_of_group_is_left_or_reported_with_a_reason(facts: dict[str, Any], kind: str | None) -> None:
    found = held(groups=[group(**facts)])
    if kind is None:
        assert found.removals == {LeaveGroup("a", "g")}
        assert found.stays == ()
    else:
        assert found.removals == frozenset()
        [finding] = found.stays
        assert (finding.kind, finding.facts["group"]) == (kind, "g")
        assert finding.reason


def test_roles_and_units_among_the_memberships_are_no_groups() -> None:
    others = [
        {"@odata.type": f"#microsoft.graph.{kind}", "id": kind} for kind in ("directoryRole", "administrativeUnit")
    ]
    assert held(groups=others) == Holdings()


def test_a_seat_that_pim_gave_is_ended_there_and_not_left_a_second_time() -> None:
    found = held(groups=[group()], active_groups=[seat()])
    assert found.removals == {EndGroupAssignment("a", "g", "member")}


def test_an_ownership_that_pim_gave_does_not_hide_a_plain_membership() -> None:
    found = held(groups=[group()], active_groups=[seat(access="owner")])
    assert found.removals == {EndGroupAssignment("a", "g", "owner"), LeaveGroup("a", "g")}


def test_several_schedules_of_one_seat_are_one_removal() -> None:
    assert len(held(active_groups=[seat(), seat()], eligible_groups=[seat("h"), seat("h")]).removals) == 2


def test_eligibilities_are_ended_as_member_and_as_owner() -> None:
    found = held(eligible_groups=[seat(), seat(access="owner")])
    assert found.removals == {EndGroupEligibility("a", "g", access) for access in ("member", "owner")}


def test_a_role_that_pim_gave_is_ended_there_and_a_direct_one_is_deleted() -> None:
    found = held(roles=[role("pim"), role("direct")], active_roles=[role("pim")])
    assert found.removals == {EndRoleAssignment("a", "pim", "/"), RemoveRoleAssignment("a", "direct-/")}


def test_one_role_in_two_scopes_is_two_removals() -> None:
    unit = "/administrativeUnits/u"
    found = held(roles=[role(scope=unit), role()], active_roles=[role(scope=unit)])
    assert found.removals == {EndRoleAssignment("a", "r", unit), RemoveRoleAssignment("a", "r-/")}


def test_a_role_without_a_scope_holds_in_the_whole_tenant() -> None:
    assert held(eligible_roles=[role(scope=None)]).removals == {EndRoleEligibility("a", "r", "/")}


def test_roles_that_come_through_a_group_go_with_the_group() -> None:
    found = held(active_roles=[role(memberType="Group")], eligible_roles=[role(memberType="Group")])
    assert found.removals == frozenset()


@pytest.mark.parametrize("state", ["delivering", "delivered", "partiallyDelivered", "deliveryFailed", None])
def test_a_package_that_may_give_access_is_ended(state: str | None) -> None:
    assert held(packages=[{"id": "p", "state": state}]).removals == {EndPackage("a", "p")}


def test_a_package_that_has_expired_is_over() -> None:
    assert held(packages=[{"id": "p", "state": "expired"}]) == Holdings()


def test_app_roles_are_removed_unless_a_group_gives_them() -> None:
    mine, groups = {"id": "m", "principalType": "User"}, {"id": "g", "principalType": "Group"}
    assert held(app_roles=[mine, groups]).removals == {RemoveAppRole("a", "m")}


def test_grants_are_revoked() -> None:
    assert held(grants=[{"id": "x"}]).removals == {RevokeGrant("a", "x")}


@pytest.mark.parametrize("kind", METHODS)
def test_each_kind_of_method_is_deleted_from_its_own_collection(kind: str) -> None:
    found = held(methods=[{"@odata.type": f"#microsoft.graph.{kind}", "id": "m"}])
    assert found.removals == {RemoveMethod("a", METHODS[kind], "m")}


def test_a_password_stays_without_a_word_and_an_unknown_method_is_reported() -> None:
    kinds = ("passwordAuthenticationMethod", "telepathyAuthenticationMethod")
    found = held(methods=[{"@odata.type": f"#microsoft.graph.{kind}", "id": kind} for kind in kinds])
    assert found.removals == frozenset()
    assert [(finding.kind, finding.facts["object"]) for finding in found.stays] == [("authentication method", kinds[1])]


def test_owned_objects_and_devices_are_reported() -> None:
    found = held(owned=[{"id": "o"}], devices=[{"id": "d"}])
    assert [finding.kind for finding in found.stays] == ["owned object", "registered device"]
    assert found.removals == frozenset()


@pytest.mark.parametrize(
    ("found", "privileged"),
    [
        ({}, False),
        ({"groups": [group()]}, False),
        ({"roles": [role()]}, True),
        ({"groups": [group(isAssignableToRole=True)]}, True),
        ({"owned": [{"id": "o", "isAssignableToRole": True}]}, True),
        ({"eligible_roles": [role()]}, False),
        ({"eligible_groups": [seat()]}, False),
    ],
)
def test_who_holds_a_role_or_a_seat_in_a_role_assignable_group_is_privileged(
    found: dict[str, Any], *, privileged: bool
) -> None:
    assert held(**found).privileged is privileged


@pytest.mark.parametrize("reading", sorted(NOTHING.keys() - {"groups"}))
def test_an_item_of_no_known_shape_is_an_error_and_not_nothing(reading: str) -> None:
    """Unknown is not empty."""
    with pytest.raises(KeyError):
        weigh("a", {**NOTHING, reading: [{}]})


def test_a_reading_that_is_missing_is_an_error_and_not_nothing() -> None:
    for reading in NOTHING:
        with pytest.raises(KeyError):
            weigh("a", {name: items for name, items in NOTHING.items() if name != reading})


def test_every_reading_needs_a_permission_that_the_app_asks_for() -> None:
    asked = {permission.name for permission in PERMISSIONS if permission.tenant is TenantRole.MSSP}
    assert {reading.needs for reading in READINGS} <= asked
