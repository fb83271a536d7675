"""The sandbox's vault refuses what Key Vault refuses, and says so in its words."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from sandbox.entra import Entra
from sandbox.keyvault import KeyVault
from sandbox.serving import bind, port_of, serve
from tests.sandbox.small_world import world

pytestmark = pytest.mark.asyncio(loop_scope="module")
VALUE = base64.urlsafe_b64encode(hashlib.sha256(b"x").digest()).decode().rstrip("=")
GOOD = {"alg": "RS256", "value": VALUE}


@dataclass
class Vaults:
    entra: Entra
    url: str
    http: ClientSession

    def token(self, application: str = "jml", audience: str = "https://vault.azure.net") -> str:
        return self.entra.identity_token(self.entra.world.applications[application], audience)

    async def ask(
        self, method: str, path: str, token: str | None, body: Any = None, version: str | None = "7.4"
    ) -> tuple[int, dict[str, Any], str]:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        query = {"api-version": version} if version else {}
        async with self.http.request(method, self.url + path, headers=headers, params=query, json=body) as reply:
            return reply.status, await reply.json(), reply.headers.get("WWW-Authenticate", "")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def vaults() -> AsyncIterator[Vaults]:
    """Plain http here: TLS is the contract tests' matter."""
    one = world()
    entra = Entra(one, login="https://login.example", resources=set(), api_audience="api")
    listener = bind()
    url = f"http://127.0.0.1:{port_of(listener)}"
    runner = await serve(KeyVault(entra, one.applications["jml"], url).application(), listener)
    async with ClientSession() as http:
        yield Vaults(entra, url, http)
    await runner.cleanup()


async def version_of(vaults: Vaults) -> str:
    _, answer, _ = await vaults.ask("GET", "/keys/checkpoints", vaults.token())
    return str(answer["key"]["kid"]).rpartition("/")[2]


async def test_the_key_shows_its_public_part_only(vaults: Vaults) -> None:
    status, answer, _ = await vaults.ask("GET", "/keys/checkpoints", vaults.token())
    assert status == 200
    assert set(answer["key"]) == {"kid", "kty", "key_ops", "n", "e"}


async def test_a_digest_is_signed_under_the_keys_full_name(vaults: Vaults) -> None:
    version = await version_of(vaults)
    status, answer, _ = await vaults.ask("POST", f"/keys/checkpoints/{version}/sign", vaults.token(), GOOD)
    assert status == 200
    assert answer["kid"] == f"{vaults.url}/keys/checkpoints/{version}"


@pytest.mark.parametrize("token", [None, "", "nonsense"])
async def test_a_stranger_gets_a_challenge_and_nothing_else(vaults: Vaults, token: str | None) -> None:
    for path in ("/keys/checkpoints", "/keys/none", "/secrets/x"):
        status, answer, challenge = await vaults.ask("GET", path, token, version=None)
        assert (status, answer["error"]["code"]) == (401, "Unauthorized")
        tenant = vaults.entra.world.tenants["mssp"].id
        assert challenge == (
            f'Bearer authorization="https://login.example/{tenant}", resource="https://vault.azure.net"'
        )


async def test_a_token_for_something_else_is_refused(vaults: Vaults) -> None:
    for audience in ("https://storage.azure.com", "https://vault.usgovcloudapi.net"):
        status, answer, challenge = await vaults.ask("GET", "/keys/checkpoints", vaults.token(audience=audience))
        assert (status, "AKV10022" in answer["error"]["message"], bool(challenge)) == (401, True, True)


async def test_an_identity_of_another_tenant_is_refused(vaults: Vaults) -> None:
    status, answer, _ = await vaults.ask("GET", "/keys/checkpoints", vaults.token("jml-gov"))
    assert (status, "AKV10032" in answer["error"]["message"]) == (401, True)


async def test_another_identity_of_the_tenant_has_no_role(vaults: Vaults) -> None:
    token = vaults.entra.issue("mssp", {"aud": "https://vault.azure.net", "oid": "somebody"})
    status, answer, _ = await vaults.ask("GET", "/keys/checkpoints", token)
    assert (status, answer["error"]["code"]) == (403, "Forbidden")


@pytest.mark.parametrize("version", [None, "2016-10-01", "8"])
async def test_an_api_version_is_needed_and_must_be_known(vaults: Vaults, version: str | None) -> None:
    status, answer, _ = await vaults.ask("GET", "/keys/checkpoints", vaults.token(), version=version)
    assert (status, answer["error"]["code"]) == (400, "BadParameter")


@pytest.mark.parametrize("path", ["/keys/other", "/keys/checkpoints/00000000000000000000000000000000"])
async def test_a_key_that_is_not_there_is_not_found(vaults: Vaults, path: str) -> None:
    status, answer, _ = await vaults.ask("GET", path, vaults.token())
    assert (status, answer["error"]["code"]) == (404, "KeyNotFound")


@pytest.mark.parametrize(
    "body",
    [
        {"alg": "RS512", "value": VALUE},
        {"alg": "ES256", "value": VALUE},
        {"alg": "RS256", "value": VALUE[:-4]},
        {"alg": "RS256", "value": "?"},
        {"alg": "RS256", "value": 7},
        {"alg": "RS256"},
        {**GOOD, "more": 1},
        [],
        None,
    ],
)
async def test_what_cannot_be_signed_is_a_bad_parameter(vaults: Vaults, body: Any) -> None:
    path = f"/keys/checkpoints/{await version_of(vaults)}/sign"
    status, answer, _ = await vaults.ask("POST", path, vaults.token(), body)
    assert (status, answer["error"]["code"]) == (400, "BadParameter")


async def test_what_is_not_served_says_so(vaults: Vaults) -> None:
    status, _, _ = await vaults.ask("DELETE", "/keys/checkpoints", vaults.token())
    assert status == 404
