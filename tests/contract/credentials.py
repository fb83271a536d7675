"""Sign-in that always, or never, works."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from sandbox.tokens import SigningKey, app_claims, validity

KEY = SigningKey()


SOME = "11111111-1111-4111-8111-111111111111"


class Signed:
    """Tokens of an application for one resource, as Entra would give them. `refuses` ends that."""

    def __init__(self, resource: str, tenant: str = SOME, object_id: str = SOME, roles: Sequence[str] = ()) -> None:
        claims = app_claims(
            login="https://login.example",
            tenant_id=tenant,
            resource=resource,
            client_id=SOME,
            object_id=object_id,
            roles=list(roles),
        )
        self._token = AccessToken(KEY.sign(claims), validity()["exp"])
        self.refuses = False

    @classmethod
    def of(cls, token: str) -> Self:
        """With a token as it is."""
        made = cls("https://example")
        made._token = AccessToken(token, validity()["exp"])
        return made

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        if self.refuses:
            raise ClientAuthenticationError("AADSTS7000229: missing service principal")
        return self._token

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None: ...
