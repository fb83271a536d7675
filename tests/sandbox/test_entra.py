"""Sign-in as the app does it: managed identity, federated credential, tenant's token; and every refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
import pytest_asyncio
from aiohttp import ClientSession, TCPConnector
from azure.identity import ClientAssertionCredential, ManagedIdentityCredential

from sandbox.certificates import Certificates, create_certificates
from sandbox.entra import ASSERTION_TYPE, Entra
from sandbox.errors import TokenRefused
from sandbox.managed_identity import ManagedIdentityEndpoint
from sandbox.serving import bind, port_of, serve
from sandbox.tokens import validity
from sandbox.world import World, parse_world

pytestmark = pytest.mark.asyncio(loop_scope="module")

GRAPH = "https://localhost:1"
EXCHANGE = "api://AzureADTokenExchange"


def world() -> World:
    return parse_world(
        {
            "tenants": {
                "corporate": {"display_name": "Corporate", "domain": "corp.example"},
                "mssp": {"display_name": "MSSP", "domain": "mssp.example"},
                "stranger": {"display_name": "Stranger", "domain": "stranger.example"},
                "gov": {"display_name": "Gov", "domain": "gov.example", "cloud": "usgov"},
            },
            "applications": {
                "jml": {
                    "home_tenant": "mssp",
                    "grants": {"corporate": ["User.Read.All"], "mssp": ["User.ReadWrite.All", "Group.Read.All"]},
                },
                "jml-gov": {"home_tenant": "gov", "grants": {"gov": ["User.Read.All"]}},
            },
        }
    )


@dataclass
class SignIn:
    entra: Entra
    identities: ManagedIdentityEndpoint
    identity_url: str
    certificates: Certificates
    http: ClientSession

    def assertion(self, application: str = "jml", audience: str = EXCHANGE) -> str:
        return self.entra.identity_token(self.entra.world.applications[application], audience)

    def form(self, **changes: str) -> dict[str, str]:
        return {
            "grant_type": "client_credentials",
            "client_id": self.entra.world.applications["jml"].app_id,
            "scope": f"{GRAPH}/.default",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion(),
        } | changes

    async def post(self, tenant_id: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        async with self.http.post(f"{self.entra.login}/{tenant_id}/oauth2/v2.0/token", data=form) as reply:
            return reply.status, await reply.json()

    def tenant(self, name: str) -> str:
        return self.entra.world.tenants[name].id


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sign_in(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SignIn]:
    certificates = create_certificates(tmp_path_factory.mktemp("certificates"))
    login, identity = bind(), bind()
    entra = Entra(world(), login=f"https://localhost:{port_of(login)}", resources={GRAPH}, api_audience="api://jml")
    identities = ManagedIdentityEndpoint(entra)
    runners = [
        await serve(entra.application(), login, certificates.server_context()),
        await serve(identities.application(), identity),
    ]
    async with ClientSession(connector=TCPConnector(ssl=certificates.client_context())) as http:
        url = f"http://127.0.0.1:{port_of(identity)}/msi/token"
        yield SignIn(entra, identities, url, certificates, http)
    for runner in runners:
        await runner.cleanup()


async def test_azure_identity_signs_in_to_a_tenant_by_the_federated_chain(
    sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = sign_in.entra.world.applications["jml"]
    assert application.managed_identity is not None
    monkeypatch.setenv("IDENTITY_ENDPOINT", sign_in.identity_url)
    monkeypatch.setenv("IDENTITY_HEADER", sign_in.identities.admit("jml"))
    identity = ManagedIdentityCredential(client_id=application.managed_identity.client_id)
    credential = ClientAssertionCredential(
        sign_in.tenant("corporate"),
        application.app_id,
        lambda: identity.get_token(f"{EXCHANGE}/.default").token,
        authority=sign_in.entra.login,
        disable_instance_discovery=True,
        connection_verify=str(sign_in.certificates.authority),
    )
    token = await asyncio.to_thread(credential.get_token, f"{GRAPH}/.default")
    await asyncio.to_thread(credential.close)
    await asyncio.to_thread(identity.close)
    claims = sign_in.entra.verify(token.token)
    assert claims["aud"] == GRAPH
    assert claims["tid"] == sign_in.tenant("corporate")
    assert claims["roles"] == ["User.Read.All"]
    assert claims["idtyp"] == "app"
    assert claims["appid"] == application.app_id
    assert claims["oid"] == application.object_id("corporate")
    assert jwt.get_unverified_header(token.token)["kid"] == sign_in.entra.key.kid


async def test_a_token_carries_the_grants_of_its_tenant_and_of_no_other(sign_in: SignIn) -> None:
    status, body = await sign_in.post(sign_in.tenant("mssp"), sign_in.form())
    assert status == 200
    assert sign_in.entra.verify(body["access_token"])["roles"] == ["Group.Read.All", "User.ReadWrite.All"]


def _late(sign_in: SignIn) -> str:
    claims = jwt.decode(sign_in.assertion(), options={"verify_signature": False})
    return sign_in.entra.key.sign(claims | {"exp": claims["iat"] - 10})


def _forged(sign_in: SignIn) -> str:
    claims = jwt.decode(sign_in.assertion(), options={"verify_signature": False})
    return sign_in.entra.issue("mssp", claims, key="bad")


def _of_another_subject(sign_in: SignIn) -> str:
    claims = jwt.decode(sign_in.assertion(), options={"verify_signature": False})
    return sign_in.entra.key.sign(claims | {"sub": "somebody-else"})


Change = Callable[[SignIn], dict[str, str]]
REFUSED: list[tuple[str, str, Change, int, int, str]] = [
    ("unknown tenant", "nowhere", lambda _: {}, 400, 90002, "invalid_request"),
    ("tenant of another cloud", "gov", lambda _: {}, 400, 700016, "unauthorized_client"),
    ("no scope", "mssp", lambda _: {"scope": ""}, 400, 900144, "invalid_request"),
    ("scope without .default", "mssp", lambda _: {"scope": f"{GRAPH}/User.Read"}, 400, 70011, "invalid_scope"),
    ("a password grant", "mssp", lambda _: {"grant_type": "password"}, 400, 70003, "unsupported_grant_type"),
    ("a secret", "mssp", lambda _: {"client_secret": "x"}, 401, 7000215, "invalid_client"),
    ("no assertion", "mssp", lambda _: {"client_assertion": ""}, 401, 7000216, "invalid_client"),
    ("unknown application", "mssp", lambda _: {"client_id": "x"}, 400, 700016, "unauthorized_client"),
    ("not consented", "stranger", lambda _: {}, 401, 7000229, "unauthorized_client"),
    ("unknown resource", "mssp", lambda _: {"scope": "https://x/.default"}, 400, 500011, "invalid_resource"),
    ("no token at all", "mssp", lambda _: {"client_assertion": "x"}, 400, 50027, "invalid_request"),
    (
        "identity of another tenant",
        "mssp",
        lambda s: {"client_assertion": s.assertion("jml-gov")},
        400,
        700211,
        "invalid_request",
    ),
    (
        "audience of another cloud",
        "mssp",
        lambda s: {"client_assertion": s.assertion(audience=EXCHANGE + "USGov")},
        400,
        700212,
        "invalid_request",
    ),
    (
        "another identity",
        "mssp",
        lambda s: {"client_assertion": _of_another_subject(s)},
        400,
        700213,
        "invalid_request",
    ),
    ("expired", "mssp", lambda s: {"client_assertion": _late(s)}, 401, 700024, "invalid_client"),
    ("forged", "mssp", lambda s: {"client_assertion": _forged(s)}, 401, 700027, "invalid_client"),
]


@pytest.mark.parametrize(
    ("tenant", "change", "answer"),
    [(row[1], row[2], row[3:]) for row in REFUSED],
    ids=[row[0] for row in REFUSED],
)
async def test_sign_in_is_refused_with_the_code_and_body_of_entra(
    sign_in: SignIn, tenant: str, change: Change, answer: tuple[int, int, str]
) -> None:
    tenant_id = sign_in.tenant(tenant) if tenant in sign_in.entra.world.tenants else tenant
    got, body = await sign_in.post(tenant_id, sign_in.form(**change(sign_in)))
    status, code, error = answer
    assert (got, body["error_codes"], body["error"]) == (status, [code], error)
    assert body["error_description"].startswith(f"AADSTS{code}: ")
    assert {"timestamp", "trace_id", "correlation_id", "error_uri"} <= body.keys()


async def test_the_gov_identity_signs_in_with_the_audience_of_its_cloud(sign_in: SignIn) -> None:
    form = sign_in.form(
        client_id=sign_in.entra.world.applications["jml-gov"].app_id,
        client_assertion=sign_in.assertion("jml-gov", EXCHANGE + "USGov"),
    )
    status, body = await sign_in.post(sign_in.tenant("gov"), form)
    assert status == 200, body


async def test_discovery_leads_to_the_keys_that_verify_the_tokens(sign_in: SignIn) -> None:
    base = f"{sign_in.entra.login}/{sign_in.tenant('mssp')}"
    async with sign_in.http.get(f"{base}/v2.0/.well-known/openid-configuration") as reply:
        configuration = await reply.json()
    assert configuration["issuer"] == f"{base}/v2.0"
    async with sign_in.http.get(configuration["jwks_uri"]) as reply:
        keys = jwt.PyJWKSet.from_dict(await reply.json())
    token = sign_in.entra.issue("mssp", {"roles": ["Auditor"]})
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["RS256"], audience="api://jml", issuer=configuration["issuer"])
    assert claims["roles"] == ["Auditor"]


async def test_discovery_of_an_unknown_tenant_is_refused(sign_in: SignIn) -> None:
    for path in ("v2.0/.well-known/openid-configuration", "discovery/v2.0/keys"):
        async with sign_in.http.get(f"{sign_in.entra.login}/nowhere/{path}") as reply:
            assert (reply.status, (await reply.json())["error_codes"]) == (400, [90002])


async def _identity(sign_in: SignIn, header: str | None = None, **query: str) -> tuple[int, dict[str, Any]]:
    headers = {"X-IDENTITY-HEADER": header or sign_in.identities.admit("jml")}
    async with sign_in.http.get(sign_in.identity_url, params=query, headers=headers) as reply:
        return reply.status, await reply.json()


async def test_the_managed_identity_endpoint_asks_for_its_header(sign_in: SignIn) -> None:
    status, body = await _identity(sign_in, "wrong")
    assert status == 401
    assert "X-IDENTITY-HEADER" in body["message"]


async def test_a_function_app_gets_tokens_of_its_own_identity_only(sign_in: SignIn) -> None:
    known = {"api-version": "2019-08-01", "resource": "https://storage.azure.com"}
    applications = sign_in.entra.world.applications
    own, other = applications["jml"].managed_identity, applications["jml-gov"].managed_identity
    assert own is not None
    assert other is not None
    status, body = await _identity(sign_in, **known, client_id=own.client_id)
    assert status == 200
    claims = sign_in.entra.verify(body["access_token"])
    assert (claims["aud"], claims["sub"]) == ("https://storage.azure.com", own.principal_id)
    assert claims["iss"] == f"https://sts.windows.net/{sign_in.tenant('mssp')}/"
    for query in ({**known, "client_id": other.client_id}, known, {"resource": known["resource"]}):
        status, _ = await _identity(sign_in, **query)
        assert status == 400


@pytest.mark.parametrize("key", ["bad", "none"])
async def test_a_token_with_another_key_or_none_is_not_verified(sign_in: SignIn, key: str) -> None:
    with pytest.raises(TokenRefused):
        sign_in.entra.verify(sign_in.entra.issue("mssp", {"aud": GRAPH}, key=key))


async def test_expired_early_and_foreign_tokens_are_not_verified(sign_in: SignIn) -> None:
    now = validity()["iat"]
    for claims in ({"exp": now - 1}, {"nbf": now + 60}, {"iss": "https://elsewhere"}, {"tid": None}):
        with pytest.raises(TokenRefused):
            sign_in.entra.verify(sign_in.entra.issue("mssp", claims))


async def test_claims_of_a_token_are_replaced_added_and_left_out_as_asked(sign_in: SignIn) -> None:
    token = sign_in.entra.issue("corporate", {"aud": "api://other", "scp": "access", "ver": None})
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["aud"], claims["scp"]) == ("api://other", "access")
    assert claims["iss"] == f"{sign_in.entra.login}/{sign_in.tenant('corporate')}/v2.0"
    assert "ver" not in claims
