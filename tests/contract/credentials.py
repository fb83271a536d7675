"""Sign-in that always, or never, works."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from sandbox.tokens import SigningKey, app_claims, validity

KEY = SigningKey()


class Signed:
    """Tokens of an application for one resource, as Entra would give them."""

    def __init__(self, resource: str, tenant: str = "11111111-1111-4111-8111-111111111111") -> None:
        claims = app_claims(
            login="https://login.example",
            tenant_id=tenant,
            resource=resource,
            client_id=tenant,
            object_id=tenant,
            roles=[],
        )
        self._token = AccessToken(KEY.sign(claims), validity()["exp"])
        self.refuses = False

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        if self.refuses:
            raise ClientAuthenticationError("AADSTS7000229: missing service principal")
        return self._token

    async def close(self) -> None: ...

    async def __aenter__(self) -> Signed:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
