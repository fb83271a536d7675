"""Signing keys and the claims of Entra's access tokens (RS256 JWTs with a `kid`).

Claims: Microsoft identity platform, "Access token claims reference". First-party resources (`https://…`) get
version 1 tokens (`appid`, issued by sts.windows.net), app registrations (`api://…`) version 2 (`azp`).
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

LIFETIME_S = 3600
STS = "https://sts.windows.net"


class SigningKey:
    def __init__(self) -> None:
        self.kid = uuid.uuid4().hex
        self._private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.public = self._private.public_key()

    def sign(self, claims: Mapping[str, Any], kid: str | None = None) -> str:
        return jwt.encode(dict(claims), self._private, algorithm="RS256", headers={"kid": kid or self.kid})

    def jwk(self) -> dict[str, Any]:
        key: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(self.public))
        return {"kty": key["kty"], "use": "sig", "kid": self.kid, "n": key["n"], "e": key["e"]}


def unsigned(claims: Mapping[str, Any]) -> str:
    return jwt.encode(dict(claims), "", algorithm="none")


def is_version_2(resource: str) -> bool:
    return resource.startswith("api://")


def app_claims(
    *, login: str, tenant_id: str, resource: str, client_id: str, object_id: str, roles: list[str]
) -> dict[str, Any]:
    """The claims of an app-only token: what the app may do is `roles`, never `scp`."""
    version_2 = is_version_2(resource)
    client = {"azp": client_id, "azpacr": "2"} if version_2 else {"appid": client_id, "appidacr": "2"}
    granted = {"roles": sorted(roles)} if roles else {}
    return {
        "aud": resource,
        "iss": issuer(login, tenant_id) if version_2 else f"{STS}/{tenant_id}/",
        **validity(),
        **client,
        "idtyp": "app",
        "oid": object_id,
        "sub": object_id,
        "tid": tenant_id,
        **granted,
        "uti": uuid.uuid4().hex[:22],
        "ver": "2.0" if version_2 else "1.0",
    }


def issuer(login: str, tenant_id: str) -> str:
    return f"{login}/{tenant_id}/v2.0"


def validity() -> dict[str, int]:
    now = int(time.time())
    return {"iat": now, "nbf": now, "exp": now + LIFETIME_S}
