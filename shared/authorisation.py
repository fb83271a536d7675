"""The doors: who may call what, decided from an Entra access token of which every claim is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import jwt
from jwt import PyJWK

ALGORITHM = "RS256"
LEEWAY = 60
"""Seconds that clocks may differ."""
MOST_TOKEN = 16_384


class Role(StrEnum):
    """App roles of the API. All of them belong to people of the MSSP tenant."""

    AUDITOR = "Auditor"
    OPERATOR = "Operator"
    APPROVER = "Approver"


class Tenant(StrEnum):
    """Whose tokens a door takes."""

    MSSP = "mssp"


class TokenKind(StrEnum):
    """A person's token carries `scp`; an application's has `idtyp` app."""

    DELEGATED = "delegated"


DOORS: dict[Role, tuple[Tenant, TokenKind]] = {
    Role.AUDITOR: (Tenant.MSSP, TokenKind.DELEGATED),
    Role.OPERATOR: (Tenant.MSSP, TokenKind.DELEGATED),
    Role.APPROVER: (Tenant.MSSP, TokenKind.DELEGATED),
}
"""Role → the tenant that issues its tokens, and the kind of token: the same role granted elsewhere opens nothing."""

READERS = frozenset({Role.AUDITOR, Role.OPERATOR, Role.APPROVER})
"""Who may read runs and evidence."""


@dataclass(frozen=True)
class Caller:
    """Who calls: the object id of a person, and the roles they hold here."""

    object_id: str
    roles: frozenset[Role]


class Unauthenticated(PermissionError):
    """401: no token, or one that proves nothing here."""


class Forbidden(PermissionError):
    """403: we know who calls, and that is not enough."""


class Keys(Protocol):
    async def find(self, tenant: str, key_id: str) -> PyJWK | None: ...


@dataclass(frozen=True)
class Door:
    """Checks tokens for the API `audience`. `tenants`: tenant ids of the issuers, `login`: the endpoint they share."""

    login: str
    audience: str
    tenants: Mapping[Tenant, str]
    keys: Keys

    async def admit(self, header: str | None, allowed: frozenset[Role]) -> Caller:
        """The caller, who holds one of `allowed`. Raises Unauthenticated, Forbidden, or Transient (no keys)."""
        token = _bearer(header)
        claims = await self._verified(token)
        roles = self._roles(claims)
        if not roles & allowed:
            raise Forbidden(f"one of these app roles is needed: {', '.join(sorted(allowed))}")
        return Caller(str(claims["oid"]), roles)

    async def _verified(self, token: str) -> Mapping[str, Any]:
        tenant = self._claimed_tenant(token)
        try:
            header = jwt.get_unverified_header(token)
            key_id = header.get("kid")
            if header.get("alg") != ALGORITHM or not isinstance(key_id, str):
                raise Unauthenticated(f"the token must be signed with {ALGORITHM} by a named key")
            key = await self.keys.find(tenant, key_id)
            if key is None:
                raise Unauthenticated("the token is signed by an unknown key")
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[ALGORITHM],
                audience=self.audience,
                issuer=f"{self.login}/{tenant}/v2.0",
                leeway=LEEWAY,
                options={"require": ["exp", "nbf", "iat", "iss", "aud", "tid", "oid", "ver"]},
            )
        except jwt.InvalidTokenError as error:
            raise Unauthenticated(f"the token is refused: {type(error).__name__}") from error
        if claims["tid"] != tenant or claims["ver"] != "2.0" or not _is_text(claims["oid"]):
            raise Unauthenticated("the token's tid, ver or oid is not what its issuer writes")
        return claims

    def _claimed_tenant(self, token: str) -> str:
        """The tenant that the token says it comes from, if that is one of ours: nobody else's keys are asked for."""
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
        except (jwt.InvalidTokenError, ValueError) as error:
            raise Unauthenticated("the token cannot be read") from error
        tenant = claims.get("tid")
        if tenant not in self.tenants.values():
            raise Unauthenticated("the token comes from a tenant that has no business here")
        return str(tenant)

    def _roles(self, claims: Mapping[str, Any]) -> frozenset[Role]:
        """The roles that count: granted by the tenant, and in the kind of token, that the table names for them."""
        granted = claims.get("roles")
        names = {str(name) for name in granted} if isinstance(granted, list) else set()
        delegated = _is_text(claims.get("scp")) and claims.get("idtyp") != "app"
        return frozenset(
            role
            for role, (tenant, kind) in DOORS.items()
            if role.value in names
            and self.tenants.get(tenant) == claims["tid"]
            and (kind is TokenKind.DELEGATED) == delegated
        )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _bearer(header: str | None) -> str:
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("an Authorization header with a bearer token was expected")
    if len(token) > MOST_TOKEN:
        raise Unauthenticated("the token is too large")
    return token.strip()
