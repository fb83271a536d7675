"""The doors: every forged, stale or foreign token is refused as such, and never makes another error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.authorisation import DOORS, READERS, Caller, Door, Forbidden, Role, Tenant, Unauthenticated
from shared.clock import SystemClock
from tests.fakes.forgery import (
    AUDIENCE,
    CORPORATE,
    DOOR,
    KNOWN,
    LOGIN,
    MSSP,
    SOMEBODY,
    STRANGERS,
    Claims,
    OneKey,
    claims,
    segment,
    signed,
)


async def admit(token: str, allowed: frozenset[Role] = READERS) -> Caller:
    return await DOOR.admit(f"Bearer {token}", allowed)


async def test_an_auditor_of_the_mssp_tenant_is_let_in() -> None:
    assert await admit(signed()) == Caller(SOMEBODY, frozenset({Role.AUDITOR}))


@pytest.mark.parametrize("role", Role)
async def test_each_role_opens_the_doors_that_are_for_it_and_no_others(role: Role) -> None:
    token = signed(claims(roles=[role.value]))
    assert (await admit(token, frozenset({role}))).roles == {role}
    for other in set(Role) - {role}:
        with pytest.raises(Forbidden, match=other):
            await admit(token, frozenset({other}))


async def test_clocks_may_differ_by_a_minute() -> None:
    now = int(SystemClock().now().timestamp())
    assert await admit(signed(claims(exp=now - 30, nbf=now - 3600)))
    assert await admit(signed(claims(nbf=now + 30)))


@pytest.mark.parametrize("attack", STRANGERS)
async def test_a_token_that_proves_nothing_here_is_unauthenticated(attack: str) -> None:
    with pytest.raises(Unauthenticated):
        await admit(STRANGERS[attack]())


@pytest.mark.parametrize("lack", KNOWN)
async def test_a_caller_without_the_role_or_kind_of_token_is_forbidden(lack: str) -> None:
    with pytest.raises(Forbidden):
        await admit(signed(claims(**KNOWN[lack])))


@pytest.mark.parametrize("scope", [["access"], {"access": 1}, 7, True])
async def test_a_scope_of_another_type_is_refused(scope: Any) -> None:
    with pytest.raises(Forbidden):
        await admit(signed(claims(scp=scope)))


@pytest.mark.parametrize("role", [Role.APPROVER, Role.OPERATOR, Role.AUDITOR])
async def test_a_role_granted_in_the_corporate_tenant_opens_nothing(role: Role) -> None:
    """Even where that tenant's tokens are read at another door: the table names whose role it is."""
    both = Door(LOGIN, AUDIENCE, {Tenant.MSSP: MSSP, "corporate": CORPORATE}, OneKey())  # type: ignore[dict-item]
    token = signed(claims(tid=CORPORATE, iss=f"{LOGIN}/{CORPORATE}/v2.0", roles=[role.value]))
    with pytest.raises(Forbidden):
        await both.admit(f"Bearer {token}", frozenset(Role))


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer    ", "Basic dXNlcjpwYXNz", "bearerx y", "Bearer\x00x", "\N{SNOWMAN}"],
)
async def test_no_bearer_token_is_unauthenticated(header: str | None) -> None:
    with pytest.raises(Unauthenticated):
        await DOOR.admit(header, READERS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*claims()]), JSON, min_size=1, max_size=3))
async def test_signed_claims_of_any_shape_are_refused_or_let_in_and_nothing_else(changes: Claims) -> None:
    try:
        caller = await admit(signed(claims(**changes)))
    except (Unauthenticated, Forbidden):
        return
    assert caller.roles <= {Role.AUDITOR}


@given(st.binary(max_size=60), st.binary(max_size=60))
async def test_segments_of_any_bytes_are_unauthenticated(header: bytes, payload: bytes) -> None:
    with pytest.raises(Unauthenticated):
        await admit(f"{segment(header)}.{segment(payload)}.")


def test_every_role_has_its_row_in_the_table_of_doors() -> None:
    assert set(DOORS) == set(Role)
