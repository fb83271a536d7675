"""One vault of Key Vault with one key of its own: reading its public part and signing with it.

Microsoft: "Key Vault REST API", Get Key and Sign; "Authentication, requests and responses" for the challenge. Who may
use it is one managed identity; its private key never leaves this object.
"""

from __future__ import annotations

import base64
import binascii
import time
import uuid
from typing import TYPE_CHECKING, Any

from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from jwt.algorithms import RSAAlgorithm

from sandbox.errors import TokenRefused
from sandbox.tokens import issuer

if TYPE_CHECKING:
    from sandbox.entra import Entra
    from sandbox.world import Application

AUDIENCE = {"public": "https://vault.azure.net", "usgov": "https://vault.usgovcloudapi.net"}
API_VERSIONS = ("7.4", "7.5", "7.6")
KEY = "checkpoints"


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class KeyVault:
    """A vault in the application's home tenant, at `url`; the application's managed identity is its Crypto User."""

    def __init__(self, entra: Entra, application: Application, url: str) -> None:
        tenant = entra.world.tenants[application.home_tenant]
        self.entra = entra
        self._tenant = tenant.id
        self._audience = AUDIENCE[tenant.cloud]
        self._user = application.managed_identity.principal_id if application.managed_identity else ""
        self._url = url
        self._versions: dict[str, rsa.RSAPrivateKey] = {}
        self._disabled: set[str] = set()
        self._created = int(time.time())
        self.rotate()

    @property
    def key_url(self) -> str:
        return f"{self._url}/keys/{KEY}"

    @property
    def scope(self) -> str:
        return f"{self._audience}/.default"

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        """Of the current version: what an auditor is given."""
        return list(self._versions.values())[-1].public_key()

    def rotate(self) -> str:
        """A new version of the key, which is current from now on; the older ones stay."""
        version = uuid.uuid4().hex
        self._versions[version] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return version

    def disable(self, version: str) -> None:
        """What it signed can be checked on; it signs no more."""
        self._disabled.add(version)

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/keys/{name}{slash:/?}", self._get)
        app.router.add_get("/keys/{name}/{version}", self._get)
        app.router.add_post("/keys/{name}/{version}/sign", self._sign)
        app.router.add_route("*", "/{rest:.*}", self._unknown)
        return app

    async def _get(self, request: web.Request) -> web.Response:
        try:
            self._admit(request, "read")
            version, key = self._find(request)
        except _Refused as refusal:
            return self._answer(refusal)
        jwk: dict[str, Any] = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        kid = f"{self.key_url}/{version}"
        bundle = {"kid": kid, "kty": "RSA", "key_ops": ["sign", "verify"], "n": jwk["n"], "e": jwk["e"]}
        attributes = {"enabled": True, "created": self._created, "updated": self._created, "exportable": False}
        return web.json_response({"key": bundle, "attributes": attributes})

    async def _sign(self, request: web.Request) -> web.Response:
        try:
            self._admit(request, "sign/action")
            version, key = self._find(request)
            digest = _digest(await _json(request))
            if version in self._disabled:
                raise _Refused(403, "Forbidden", "Operation sign is not allowed on a disabled key.")
        except _Refused as refusal:
            return self._answer(refusal)
        signature = key.sign(digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))
        value = base64.urlsafe_b64encode(signature).decode().rstrip("=")
        return web.json_response({"kid": f"{self.key_url}/{version}", "value": value})

    async def _unknown(self, request: web.Request) -> web.Response:
        try:
            self._admit(request, "")
        except _Refused as refusal:
            return self._answer(refusal)
        return self._answer(_Refused(404, "NotFound", f"{request.method} {request.path}: not served by this sandbox"))

    def _admit(self, request: web.Request, action: str) -> None:
        """First the token, then the API version, then the role: nobody learns anything without a token."""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise _Refused(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
        try:
            claims = self.entra.verify(token)
        except TokenRefused as refusal:
            raise _Refused(401, "Unauthorized", f"AKV10032: Invalid token. {refusal}") from refusal
        if claims["aud"] != self._audience:
            text = f"AKV10022: Invalid audience. Expected {self._audience}, found: {claims['aud']}."
            raise _Refused(401, "Unauthorized", text)
        if claims["tid"] != self._tenant:
            text = f"AKV10032: Invalid issuer. Expected one of the vault's tenant {self._tenant}."
            raise _Refused(401, "Unauthorized", text)
        if (version := request.query.get("api-version")) not in API_VERSIONS:
            known = f"The specified version ({version}) is not recognized."
            raise _Refused(400, "BadParameter", known if version else "api-version must be specified")
        if claims.get("oid") != self._user:
            text = (
                "Caller is not authorized to perform action on resource. "
                f"Action: 'Microsoft.KeyVault/vaults/keys/{action}', Assignment: (not found)"
            )
            raise _Refused(403, "Forbidden", text)

    def _find(self, request: web.Request) -> tuple[str, rsa.RSAPrivateKey]:
        name = request.match_info["name"]
        version = request.match_info.get("version") or list(self._versions)[-1]
        if name != KEY or version not in self._versions:
            text = f"A key with (name/id) {name}/{version} was not found in this key vault."
            raise _Refused(404, "KeyNotFound", text)
        return version, self._versions[version]

    def _answer(self, refusal: _Refused) -> web.Response:
        authority = issuer(self.entra.login, self._tenant).removesuffix("/v2.0")
        challenge = f'Bearer authorization="{authority}", resource="{self._audience}"'
        headers = {"WWW-Authenticate": challenge} if refusal.status == 401 else {}
        error = {"error": {"code": refusal.code, "message": str(refusal)}}
        return web.json_response(error, status=refusal.status, headers=headers)


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as malformed:
        raise _Refused(400, "BadParameter", "The request body is not valid JSON.") from malformed
    if not isinstance(body, dict) or set(body) != {"alg", "value"}:
        raise _Refused(400, "BadParameter", "Properties alg and value, and no other, are expected.")
    return body


def _digest(body: dict[str, Any]) -> bytes:
    if body["alg"] != "RS256":
        raise _Refused(400, "BadParameter", f"Key and signing algorithm are incompatible: {body['alg']}.")
    text = body["value"]
    try:
        digest = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (TypeError, binascii.Error, ValueError) as malformed:
        raise _Refused(400, "BadParameter", "Property value is not base64url.") from malformed
    if len(digest) != 32:
        raise _Refused(400, "BadParameter", f"Invalid length of 'value': {len(digest)} bytes. RS256 requires 32 bytes.")
    return digest
