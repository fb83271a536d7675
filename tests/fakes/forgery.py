"""Tokens for the app's own door: good ones, and every kind that somebody might try instead."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt import PyJWK
from jwt.algorithms import RSAAlgorithm

from shared.authorisation import MOST_TOKEN, Door, Tenant
from shared.clock import SystemClock

MSSP, CORPORATE = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
LOGIN, AUDIENCE, KID = "https://login.example", "api://jml", "key-1"
SOMEBODY = "33333333-3333-4333-8333-333333333333"
Claims = dict[str, Any]


@cache
def key(name: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class OneKey:
    """The MSSP tenant signs with one key. Nobody else's keys are ever asked for."""

    async def find(self, tenant: str, key_id: str) -> PyJWK | None:
        assert tenant in (MSSP, CORPORATE)
        document = json.loads(RSAAlgorithm.to_jwk(key("ours").public_key()))
        return PyJWK({**document, "kid": KID}, algorithm="RS256") if key_id == KID else None


DOOR = Door(LOGIN, AUDIENCE, {Tenant.MSSP: MSSP}, OneKey())


def claims(**changes: Any) -> Claims:
    """What Entra writes for an auditor who signed in; `...` leaves a claim out."""
    now = int(SystemClock().now().timestamp())
    good = {
        "aud": AUDIENCE,
        "iss": f"{LOGIN}/{MSSP}/v2.0",
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "tid": MSSP,
        "oid": SOMEBODY,
        "ver": "2.0",
        "scp": "access",
        "roles": ["Auditor"],
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def signed(changed: Claims | None = None, *, by: str = "ours", kid: Any = KID, **header: Any) -> str:
    """Signed by hand, for PyJWT refuses to write some of these claims."""
    headers = {"alg": "RS256", "typ": "JWT", **({"kid": kid} if kid is not ... else {}), **header}
    return forged(headers, lambda body: RSAAlgorithm(RSAAlgorithm.SHA256).sign(body, key(by)), changed)


def segment(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def forged(header: Any, signature: Callable[[bytes], bytes] = lambda _: b"", payload: Any = None) -> str:
    """A token put together by hand."""
    body = f"{segment(header)}.{segment(claims() if payload is None else payload)}"
    return f"{body}.{segment(signature(body.encode()))}"


def with_the_public_key_as_secret(body: bytes) -> bytes:
    pem = (
        key("ours")
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return hmac.new(pem, body, hashlib.sha256).digest()


LONG_AGO, FAR_OFF = 1_000_000_000, 4_000_000_000
REQUIRED = ("exp", "nbf", "iat", "iss", "aud", "tid", "oid", "ver")
STRANGERS: dict[str, Callable[[], str]] = {
    "another key": lambda: signed(by="stranger"),
    "unknown kid": lambda: signed(kid="key-2"),
    "no kid": lambda: signed(kid=...),
    "kid that is a path": lambda: signed(kid="../../etc/passwd"),
    "kid that is an address": lambda: signed(by="stranger", kid="https://attacker.example/keys"),
    "kid that is SQL": lambda: signed(by="stranger", kid="' or '1' eq '1"),
    "kid that is another tenant's": lambda: signed(by="stranger", kid=CORPORATE),
    "kid of 10 kB": lambda: signed(by="stranger", kid="k" * 10_000),
    "kid that is a number": lambda: forged({"alg": "RS256", "kid": 1}),
    "kid that is no text": lambda: forged({"alg": "RS256", "kid": ["key-1"]}),
    "kid that is null": lambda: forged({"alg": "RS256", "kid": None}),
    "alg none": lambda: forged({"alg": "none", "kid": KID}),
    "alg None": lambda: forged({"alg": "None", "kid": KID}),
    "alg missing": lambda: forged({"kid": KID}),
    "alg null": lambda: forged({"alg": None, "kid": KID}),
    "alg a list": lambda: forged({"alg": ["RS256"], "kid": KID}),
    "alg HS256, public key as secret": lambda: forged({"alg": "HS256", "kid": KID}, with_the_public_key_as_secret),
    "alg HS256, jwk as secret": lambda: forged({"alg": "HS256", "kid": KID, "jwk": {"kty": "oct", "k": "AA"}}),
    "alg RS512": lambda: jwt.encode(claims(), key("ours"), algorithm="RS512", headers={"kid": KID}),
    "alg PS256": lambda: jwt.encode(claims(), key("ours"), algorithm="PS256", headers={"kid": KID}),
    "its own key in the header": lambda: signed(
        by="stranger", jwk=json.loads(RSAAlgorithm.to_jwk(key("stranger").public_key()))
    ),
    "its keys at an address": lambda: signed(by="stranger", jku="https://attacker.example/keys"),
    "its certificate at an address": lambda: signed(by="stranger", x5u="https://attacker.example/pem"),
    "its certificate in the header": lambda: signed(by="stranger", x5c=["MIIB"], x5t="AAAA"),
    "an address beside an unknown kid": lambda: signed(by="stranger", kid="key-2", jku="https://attacker.example/keys"),
    "critical extension": lambda: signed(crit=["surprise"]),
    "unencoded payload": lambda: signed(b64=False),
    "no signature": lambda: signed().rpartition(".")[0] + ".",
    "changed payload": lambda: ".".join(
        [signed().split(".")[0], segment(claims(roles=["Approver"])), signed().split(".")[2]]
    ),
    "expired": lambda: signed(claims(exp=LONG_AGO)),
    "not yet valid": lambda: signed(claims(nbf=FAR_OFF)),
    "issued in the future": lambda: signed(claims(iat=FAR_OFF)),
    "another audience": lambda: signed(claims(aud="https://graph.microsoft.com")),
    "no audience of ours": lambda: signed(claims(aud=["a", "b"])),
    "audience that is a number": lambda: signed(claims(aud=7)),
    "another issuer": lambda: signed(claims(iss=f"{LOGIN}/{CORPORATE}/v2.0")),
    "issuer of version 1": lambda: signed(claims(iss=f"https://sts.windows.net/{MSSP}/")),
    "issuer that is a list": lambda: signed(claims(iss=[f"{LOGIN}/{MSSP}/v2.0"])),
    "the corporate tenant": lambda: signed(claims(tid=CORPORATE, iss=f"{LOGIN}/{CORPORATE}/v2.0")),
    "a stranger's tenant": lambda: signed(claims(tid=SOMEBODY, iss=f"{LOGIN}/{SOMEBODY}/v2.0")),
    "tid that is a list": lambda: signed(claims(tid=[MSSP])),
    "tid that is an object": lambda: signed(claims(tid={"id": MSSP})),
    "tid that is a number": lambda: signed(claims(tid=1)),
    "tid that is null": lambda: signed(claims(tid=None)),
    "oid that is a list": lambda: signed(claims(oid=[SOMEBODY])),
    "oid that is empty": lambda: signed(claims(oid="")),
    "oid that is null": lambda: signed(claims(oid=None)),
    "version 1": lambda: signed(claims(ver="1.0")),
    "version that is a number": lambda: signed(claims(ver=2.0)),
    "exp that is text": lambda: signed(claims(exp="tomorrow")),
    "exp that is a list": lambda: signed(claims(exp=[FAR_OFF])),
    "exp that is infinite": lambda: signed(claims(exp=float("inf"))),
    "nbf that is no number": lambda: signed(claims(nbf=float("nan"))),
    "exp that is huge": lambda: signed(claims(exp=-(10**400))),
    "nbf that is null": lambda: signed(claims(nbf=None)),
    "iat that is an object": lambda: signed(claims(iat={})),
    "oversized": lambda: signed(claims(junk="x" * MOST_TOKEN)),
    "payload that is a list": lambda: forged({"alg": "RS256", "kid": KID}, payload=[1]),
    "payload that is text": lambda: forged({"alg": "RS256", "kid": KID}, payload="text"),
    "payload that is no JSON": lambda: forged({"alg": "RS256", "kid": KID}, payload=b"{"),
    "payload that is no text": lambda: forged({"alg": "RS256", "kid": KID}, payload=b"\xff\xfe"),
    "payload nested deeply": lambda: forged({"alg": "RS256", "kid": KID}, payload=b"[" * 10_000),
    "header that is a list": lambda: forged(["RS256"]),
    "header that is no JSON": lambda: forged(b"{"),
    "header nested deeply": lambda: forged(b'{"a":' * 2000),
    "an encrypted token": lambda: "a.b.c.d.e",
    "garbage": lambda: "not a token",
    "dots": lambda: "..",
    "unicode": lambda: "\N{SNOWMAN}.\N{SNOWMAN}.\N{SNOWMAN}",
    **{f"without {name}": lambda name=name: signed(claims(**{name: ...})) for name in REQUIRED},  # type: ignore[misc]
}
"""Tokens that prove nothing here."""

KNOWN: dict[str, Claims] = {
    "no roles": {"roles": ...},
    "empty roles": {"roles": []},
    "roles that are null": {"roles": None},
    "roles that are a text": {"roles": "Auditor"},
    "roles that are an object": {"roles": {"Auditor": True}},
    "roles that are a number": {"roles": 1},
    "a role that is a list": {"roles": [["Auditor"]]},
    "a role that is an object": {"roles": [{"Auditor": 1}]},
    "a role in small letters": {"roles": ["auditor"]},
    "a role with a space": {"roles": ["Auditor "]},
    "an unknown role": {"roles": ["GlobalAdministrator"]},
    "a directory role": {"wids": ["62e90394-69f5-4237-9190-012177145e10"], "roles": ...},
    "an application": {"scp": ..., "idtyp": "app"},
    "an application without a type": {"scp": ...},
    "an application that claims a scope": {"idtyp": "app"},
    "an empty scope": {"scp": ""},
    "a scope that is null": {"scp": None},
}
"""What a caller lacks whom we know: the claims that tell."""
