"""The managed-identity endpoint of App Service and Functions (`IDENTITY_ENDPOINT`, `IDENTITY_HEADER`).

Microsoft: "How to use managed identities for App Service and Azure Functions", REST endpoint reference.
Plain http on loopback, as there; the header's secret tells which function app is asking.
"""

from __future__ import annotations

import hmac
import secrets
import time

from aiohttp import web

from sandbox.entra import Entra
from sandbox.tokens import LIFETIME_S

API_VERSION = "2019-08-01"
PATH = "/msi/token"


class ManagedIdentityEndpoint:
    def __init__(self, entra: Entra) -> None:
        self._entra = entra
        self._applications: dict[str, str] = {}

    def admit(self, application: str) -> str:
        """A new `IDENTITY_HEADER` for the function app of `application`: it opens its identity alone."""
        secret = secrets.token_hex(16)
        self._applications[secret] = application
        return secret

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get(PATH, self._token)
        return app

    async def _token(self, request: web.Request) -> web.Response:
        name = self._asking(request.headers.get("X-IDENTITY-HEADER", ""))
        if name is None:
            return _refuse(401, "The X-IDENTITY-HEADER header is missing or wrong.")
        if request.query.get("api-version") != API_VERSION:
            return _refuse(400, f"The api-version is not supported, only {API_VERSION}.")
        resource = request.query.get("resource", "").rstrip("/")
        if not resource:
            return _refuse(400, "The parameter resource is missing.")
        application = self._entra.world.applications[name]
        identity = application.managed_identity
        if identity is None or request.query.get("client_id") != identity.client_id:
            return _refuse(400, "No User Assigned or Delegated Managed Identity found for specified ClientId.")
        return web.json_response(
            {
                "access_token": self._entra.identity_token(application, resource),
                "expires_on": str(int(time.time()) + LIFETIME_S),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": identity.client_id,
            }
        )

    def _asking(self, secret: str) -> str | None:
        for known, application in self._applications.items():
            if hmac.compare_digest(known.encode(), secret.encode()):
                return application
        return None


def _refuse(status: int, message: str) -> web.Response:
    return web.json_response({"statusCode": status, "message": message}, status=status)
