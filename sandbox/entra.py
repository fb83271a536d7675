"""Entra's token endpoints for every tenant of a world: federated sign-in, discovery, signing keys.

The only way in is the one the app has in Azure: a managed identity's token as client assertion of a federated
credential. Each refusal carries Entra's code (Microsoft: "Microsoft Entra authentication and authorization
error codes") in Entra's error body.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import jwt
from aiohttp import web

from sandbox.errors import TokenRefused
from sandbox.tokens import STS, SigningKey, app_claims, issuer, unsigned, validity

if TYPE_CHECKING:
    from sandbox.world import Application, Tenant, World

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EXCHANGE_AUDIENCE = {"public": "api://AzureADTokenExchange", "usgov": "api://AzureADTokenExchangeUSGov"}
KEYS = ("good", "bad", "none")


class _Refusal(NamedTuple):
    status: int
    error: str
    text: str


_UNMATCHED = "No matching federated identity record found for presented assertion"
REFUSALS: Mapping[int, _Refusal] = {
    90002: _Refusal(
        400,
        "invalid_request",
        "Tenant '{0}' not found. Check to make sure you have the correct tenant ID and are signing into the "
        "correct cloud.",
    ),
    900144: _Refusal(400, "invalid_request", "The request body must contain the following parameter: '{0}'."),
    70003: _Refusal(400, "unsupported_grant_type", "The app requested an unsupported grant type '{0}'."),
    7000216: _Refusal(401, "invalid_client", "'client_assertion' is required for the 'client_credentials' grant type."),
    7000215: _Refusal(401, "invalid_client", "Invalid client secret provided."),
    700016: _Refusal(
        400,
        "unauthorized_client",
        "Application with identifier '{0}' was not found in the directory '{1}'.",
    ),
    7000229: _Refusal(
        401,
        "unauthorized_client",
        "The client application {0} is missing service principal in the tenant {1}.",
    ),
    70011: _Refusal(
        400,
        "invalid_scope",
        "The provided value for the input parameter 'scope' is not valid. The scope {0} is not valid.",
    ),
    500011: _Refusal(
        400,
        "invalid_resource",
        "The resource principal named {0} was not found in the tenant named {1}.",
    ),
    50027: _Refusal(400, "invalid_request", "JWT token is invalid or malformed."),
    700211: _Refusal(400, "invalid_request", f"{_UNMATCHED} issuer '{{0}}'."),
    700212: _Refusal(400, "invalid_request", f"{_UNMATCHED} audience '{{0}}'."),
    700213: _Refusal(400, "invalid_request", f"{_UNMATCHED} subject '{{0}}'."),
    700024: _Refusal(401, "invalid_client", "Client assertion is not within its valid time range."),
    700027: _Refusal(401, "invalid_client", "Client assertion failed signature validation."),
}


class SignInRefused(Exception):
    def __init__(self, code: int, *details: str) -> None:
        self.code = code
        self.row = REFUSALS[code]
        self.description = f"AADSTS{code}: {self.row.text.format(*details)}"
        super().__init__(self.description)

    def response(self, login: str) -> web.Response:
        now = datetime.now(UTC)
        body = {
            "error": self.row.error,
            "error_description": f"{self.description} Timestamp: {now:%Y-%m-%d %H:%M:%SZ}",
            "error_codes": [self.code],
            "timestamp": f"{now:%Y-%m-%d %H:%M:%SZ}",
            "trace_id": str(uuid.uuid4()),
            "correlation_id": str(uuid.uuid4()),
            "error_uri": f"{login}/error?code={self.code}",
        }
        return web.json_response(body, status=self.row.status)


class Entra:
    """Issues and checks tokens. `resources`: the audiences that have a service principal in every tenant."""

    def __init__(self, world: World, *, login: str, resources: set[str], api_audience: str) -> None:
        self.world = world
        self.login = login
        self.resources = resources | {api_audience}
        self.api_audience = api_audience
        self.key = SigningKey()
        self._stranger: SigningKey | None = None
        self._tenants = {tenant.id: name for name, tenant in world.tenants.items()}

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/{tenant}/oauth2/v2.0/token", self._token)
        app.router.add_get("/{tenant}/v2.0/.well-known/openid-configuration", self._configuration)
        app.router.add_get("/{tenant}/discovery/v2.0/keys", self._keys)
        return app

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a valid token of this Entra; audience and roles are its reader's to check."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self.key.public,
                algorithms=["RS256"],
                options={"verify_aud": False, "require": ["exp", "nbf", "iss", "tid", "aud"]},
            )
        except jwt.PyJWTError as refusal:
            raise TokenRefused(str(refusal)) from refusal
        tenant_id = claims["tid"]
        if claims["iss"] not in {issuer(self.login, tenant_id), f"{STS}/{tenant_id}/"}:
            raise TokenRefused("the token's issuer is not its tenant's")
        return claims

    def issue(self, tenant: str, claims: Mapping[str, Any], key: str = "good") -> str:
        """A token to try the app's own door with: given claims replace the defaults, null leaves one out."""
        tenant_id = self.world.tenants[tenant].id
        defaults: dict[str, Any] = {
            "aud": self.api_audience,
            "iss": issuer(self.login, tenant_id),
            **validity(),
            "tid": tenant_id,
            "oid": str(uuid.uuid5(uuid.UUID(tenant_id), "caller")),
            "sub": str(uuid.uuid5(uuid.UUID(tenant_id), "subject of caller")),
            "ver": "2.0",
        }
        chosen = {name: value for name, value in {**defaults, **claims}.items() if value is not None}
        match key:
            case "good":
                return self.key.sign(chosen)
            case "bad":
                self._stranger = self._stranger or SigningKey()
                return self._stranger.sign(chosen, kid=self.key.kid)
            case "none":
                return unsigned(chosen)
        raise ValueError(f"key: expected one of {', '.join(KEYS)}, got {key!r}")

    def identity_token(self, application: Application, resource: str) -> str:
        """What the managed-identity endpoint answers: the identity's own token, from its home tenant."""
        identity = application.managed_identity
        if identity is None:
            raise ValueError(f"application {application.app_id} has no managed identity")
        claims = app_claims(
            login=self.login,
            tenant_id=self.world.tenants[application.home_tenant].id,
            resource=resource,
            client_id=identity.client_id,
            object_id=identity.principal_id,
            roles=[],
        )
        return self.key.sign(claims)

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        try:
            token = self._sign_in(request.match_info["tenant"], form)
        except SignInRefused as refusal:
            return refusal.response(self.login)
        lifetime = {"expires_in": 3599, "ext_expires_in": 3599}
        return web.json_response({"token_type": "Bearer", **lifetime, "access_token": token})

    def _sign_in(self, tenant_id: str, form: Mapping[str, str]) -> str:
        name, tenant = self._tenant(tenant_id)
        _check_form(form)
        application = self._application_in(name, tenant, form["client_id"])
        resource = _resource(form["scope"])
        self._check_assertion(tenant, application, form["client_assertion"])
        if resource not in self.resources:
            raise SignInRefused(500011, resource, tenant.id)
        grants = application.grants.get(name, [])
        return self.key.sign(
            app_claims(
                login=self.login,
                tenant_id=tenant.id,
                resource=resource,
                client_id=application.app_id,
                object_id=application.object_id(name),
                roles=[] if resource == self.api_audience else grants,
            )
        )

    def _tenant(self, tenant_id: str) -> tuple[str, Tenant]:
        name = self._tenants.get(tenant_id)
        if name is None:
            raise SignInRefused(90002, tenant_id)
        return name, self.world.tenants[name]

    def _application_in(self, name: str, tenant: Tenant, client_id: str) -> Application:
        """The application, if it lives in this cloud and has a service principal in this tenant."""
        known = [app for app in self.world.applications.values() if app.app_id == client_id]
        if not known:
            raise SignInRefused(700016, client_id, tenant.id)
        application = known[0]
        if self.world.tenants[application.home_tenant].cloud != tenant.cloud:
            raise SignInRefused(700016, client_id, tenant.id)
        if name not in application.grants and name != application.home_tenant:
            raise SignInRefused(7000229, client_id, tenant.id)
        return application

    def _check_assertion(self, tenant: Tenant, application: Application, assertion: str) -> None:
        """The federated credential names issuer, subject and audience: all must match, then the signature."""
        try:
            claims = jwt.decode(assertion, options={"verify_signature": False})
        except jwt.PyJWTError as malformed:
            raise SignInRefused(50027) from malformed
        home = self.world.tenants[application.home_tenant]
        identity = application.managed_identity
        expected = {
            "iss": (700211, issuer(self.login, home.id)),
            "sub": (700213, identity.principal_id if identity else None),
            "aud": (700212, EXCHANGE_AUDIENCE[tenant.cloud]),
        }
        for claim, (code, value) in expected.items():
            if value is None or claims.get(claim) != value:
                raise SignInRefused(code, str(claims.get(claim)))
        try:
            jwt.decode(assertion, self.key.public, algorithms=["RS256"], audience=claims["aud"])
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as late:
            raise SignInRefused(700024) from late
        except jwt.PyJWTError as forged:
            raise SignInRefused(700027) from forged

    async def _configuration(self, request: web.Request) -> web.Response:
        try:
            _, tenant = self._tenant(request.match_info["tenant"])
        except SignInRefused as refusal:
            return refusal.response(self.login)
        base = f"{self.login}/{tenant.id}"
        return web.json_response(
            {
                "issuer": issuer(self.login, tenant.id),
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "token_endpoint_auth_methods_supported": ["private_key_jwt"],
                "response_types_supported": ["token"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def _keys(self, request: web.Request) -> web.Response:
        try:
            _, tenant = self._tenant(request.match_info["tenant"])
        except SignInRefused as refusal:
            return refusal.response(self.login)
        return web.json_response({"keys": [self.key.jwk() | {"issuer": issuer(self.login, tenant.id)}]})


def _check_form(form: Mapping[str, str]) -> None:
    for name in ("grant_type", "client_id", "scope"):
        if not form.get(name):
            raise SignInRefused(900144, name)
    if form["grant_type"] != "client_credentials":
        raise SignInRefused(70003, form["grant_type"])
    if "client_secret" in form:
        raise SignInRefused(7000215)
    if not form.get("client_assertion") or form.get("client_assertion_type") != ASSERTION_TYPE:
        raise SignInRefused(7000216)


def _resource(scope: str) -> str:
    """`https://host/.default` → `https://host`; other OpenID scopes beside it do not matter here."""
    wanted = [item for item in scope.split() if item.endswith("/.default")]
    if len(wanted) != 1:
        raise SignInRefused(70011, scope)
    return wanted[0].removesuffix("/.default")
