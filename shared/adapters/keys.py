"""The keys that Entra signs tokens with, by tenant: fetched over HTTP, kept for an hour, asked for anew with care."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

import httpx
from jwt import PyJWK
from jwt.exceptions import PyJWKError

from shared.clock import Clock
from shared.errors import Transient

KEEP = timedelta(hours=1)
LEAST_BETWEEN = timedelta(minutes=1)
"""A key id that is not known makes us look again, but no stranger makes us look more often than this."""


@dataclass
class _Known:
    fetched_at: datetime
    keys: dict[str, PyJWK] = field(default_factory=dict)


class SigningKeys:
    """Keys of the tenants below one login endpoint."""

    def __init__(self, login_endpoint: str, clock: Clock) -> None:
        self._login = login_endpoint
        self._clock = clock
        self._known: dict[str, _Known] = {}

    @cached_property
    def _http(self) -> httpx.AsyncClient:
        """Made when the first token comes, for reading the trusted authorities is dear."""
        return httpx.AsyncClient(timeout=httpx.Timeout(5.0))

    async def close(self) -> None:
        if "_http" in self.__dict__:
            await self._http.aclose()

    async def find(self, tenant: str, key_id: str) -> PyJWK | None:
        """The key of that id, or None when the tenant has none. Raises Transient when the keys cannot be had."""
        now = self._clock.now()
        known = self._known.get(tenant)
        age = now - known.fetched_at if known else KEEP
        if known is None or age >= KEEP or (key_id not in known.keys and age >= LEAST_BETWEEN):
            known = self._known[tenant] = _Known(now, await self._fetch(tenant))
        return known.keys.get(key_id)

    async def _fetch(self, tenant: str) -> dict[str, PyJWK]:
        try:
            response = await self._http.get(f"{self._login}/{tenant}/discovery/v2.0/keys")
            response.raise_for_status()
            documents = response.json()["keys"]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise Transient(f"signing keys of tenant {tenant}: {type(error).__name__}") from error
        found: dict[str, PyJWK] = {}
        for document in documents:
            try:
                key = PyJWK(document, algorithm="RS256")
            except PyJWKError:
                continue  # a kind of key that this app does not accept anyway
            if key.key_id:
                found[key.key_id] = key
        return found
