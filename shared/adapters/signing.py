"""RS256 signatures: by a key that never leaves Key Vault, or by a key file; and their check with public keys."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from azure.core import AsyncPipelineClient
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy, AsyncRetryPolicy
from azure.core.rest import HttpRequest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils

from shared.adapters.failures import named
from shared.errors import Denied, Refused
from shared.ledger import canonical
from shared.ports import KeyName

API_VERSION = "7.4"
NEEDS = "the role JML Checkpoint Signer on the signing key for the managed identity (docs/proof.md)"
RFC_9278 = "urn:ietf:params:oauth:jwk-thumbprint:sha-256:"
DIGEST = utils.Prehashed(hashes.SHA256())
LEAST_BITS = 2048


def thumbprint(key: rsa.RSAPublicKey) -> str:
    """RFC 7638, SHA-256, base64url."""
    numbers = key.public_numbers()
    jwk = {"e": _integer(numbers.e), "kty": "RSA", "n": _integer(numbers.n)}
    return _encoded(hashlib.sha256(canonical(jwk).encode()).digest())


class FileSigner:
    """Signs with the RSA private key of a PEM file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._private: rsa.RSAPrivateKey | None = None

    async def close(self) -> None: ...

    async def key(self) -> KeyName:
        own = thumbprint(self._key().public_key())
        return KeyName(RFC_9278 + own, own)

    async def sign(self, digest: bytes) -> bytes:
        return self._key().sign(digest, padding.PKCS1v15(), DIGEST)

    async def refusal(self, key: KeyName, digest: bytes, signature: bytes) -> str:
        return await PublicKeys([self._key().public_key()]).refusal(key, digest, signature)

    def _key(self) -> rsa.RSAPrivateKey:
        if self._private is None:
            try:
                found = serialization.load_pem_private_key(self._path.read_bytes(), None)
            except (OSError, TypeError, ValueError) as error:
                raise Refused(f"signing key {self._path}: {error}") from error
            if not isinstance(found, rsa.RSAPrivateKey) or found.key_size < LEAST_BITS:
                raise Refused(f"signing key {self._path}: an RSA key of at least {LEAST_BITS} bits was expected")
            self._private = found
        return self._private


class VaultSigner:
    """Signs with a key of Key Vault at `url` (`https://<vault>/keys/<name>`, with or without a version).

    Without one the version that is current when the process first signs is used, and named in each checkpoint, until
    a signature with it is refused. The token's audience is a setting of the cloud (`scope`); no challenge of the other
    side can change it (decision 6).
    """

    def __init__(self, url: str, scope: str, credential: AsyncTokenCredential) -> None:
        self._url = url
        self._client: AsyncPipelineClient[Any, Any] = AsyncPipelineClient(
            base_url=url,
            policies=[
                AsyncRetryPolicy(retry_total=2, timeout=15),
                AsyncBearerTokenCredentialPolicy(credential, scope),
            ],
        )
        self._name: KeyName | None = None
        self._public: dict[str, PublicKeys] = {}

    async def close(self) -> None:
        await self._client.close()

    async def key(self) -> KeyName:
        if self._name is None:
            jwk = (await self._send("GET", self._url))["key"]
            self._name = KeyName(str(jwk["kid"]), thumbprint(_public_of_jwk(jwk)))
        return self._name

    async def sign(self, digest: bytes) -> bytes:
        name = await self.key()
        body = {"alg": "RS256", "value": _encoded(digest)}
        try:
            return _decoded(str((await self._send("POST", f"{name.id}/sign", body))["value"]))
        except (Denied, Refused):
            self._name = None
            raise

    async def refusal(self, key: KeyName, digest: bytes, signature: bytes) -> str:
        """Every version of the key counts: those before the last rotation signed too."""
        name = "/".join(self._url.split("/")[:5])
        if not key.id.startswith(f"{name}/") or not key.id.removeprefix(f"{name}/").isalnum():
            return f"names the key {key.id}, which is no version of {name}"
        if key.id not in self._public:
            try:
                jwk = (await self._send("GET", key.id))["key"]
            except Refused as error:
                return f"names a key that cannot be had: {error}"
            self._public[key.id] = PublicKeys([_public_of_jwk(jwk)])
        return await self._public[key.id].refusal(key, digest, signature)

    async def _send(self, method: str, url: str, body: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        request = HttpRequest(method, url, params={"api-version": API_VERSION}, json=body)
        try:
            response = await self._client.send_request(request)
            if response.status_code != 200:
                raise HttpResponseError(response=response)
            answer: Mapping[str, Any] = response.json()
        except AzureError as error:
            raise named(f"key {self._url}", error, NEEDS) from error
        return answer


class PublicKeys:
    """Checks signatures with keys that the caller trusts."""

    def __init__(self, keys: Iterable[rsa.RSAPublicKey]) -> None:
        self._keys = {thumbprint(key): key for key in keys}

    @classmethod
    def from_files(cls, paths: Iterable[Path]) -> PublicKeys:
        """PEM (public key, private key or certificate), JWK, JWKS, or what `az keyvault key show` prints.

        Raises ValueError naming the file.
        """
        return cls([key for path in paths for key in _keys_in(path)])

    async def refusal(self, key: KeyName, digest: bytes, signature: bytes) -> str:
        trusted = self._keys.get(key.thumbprint)
        if trusted is None:
            return f"is signed with another key: {key.id} ({key.thumbprint})"
        try:
            trusted.verify(signature, digest, padding.PKCS1v15(), DIGEST)
        except InvalidSignature:
            return "carries a signature that does not fit its content"
        return ""


def _keys_in(path: Path) -> list[rsa.RSAPublicKey]:
    try:
        content = path.read_bytes()
        found = [_pem(content)] if b"-----BEGIN" in content else [_public_of_jwk(one) for one in _jwks(content)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"key {path}: {error or type(error).__name__}") from error
    return found


def _pem(content: bytes) -> rsa.RSAPublicKey:
    if b"CERTIFICATE" in content:
        key: object = x509.load_pem_x509_certificate(content).public_key()
    elif b"PRIVATE KEY" in content:
        private = serialization.load_pem_private_key(content, None)
        key = private.public_key()
    else:
        key = serialization.load_pem_public_key(content)
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("an RSA key was expected")  # noqa: TRY004 - the content is wrong, not the type of an argument
    return key


def _jwks(content: bytes) -> list[Mapping[str, Any]]:
    document = json.loads(content)
    return list(document["keys"]) if "keys" in document else [document.get("key", document)]


def _public_of_jwk(jwk: Mapping[str, Any]) -> rsa.RSAPublicKey:
    """Key Vault calls a key in hardware `RSA-HSM`."""
    if jwk.get("kty") not in ("RSA", "RSA-HSM"):
        raise ValueError("an RSA key was expected")
    e, n = (int.from_bytes(_decoded(str(jwk[name]))) for name in ("e", "n"))
    return rsa.RSAPublicNumbers(e, n).public_key()


def _integer(value: int) -> str:
    return _encoded(value.to_bytes((value.bit_length() + 7) // 8))


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
