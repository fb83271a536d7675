"""Everything outside, behind ports: one sign-in for each tenant, connections that are made when first used."""

from __future__ import annotations

from functools import cached_property

import jwt
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError, ServiceResponseError
from azure.identity import ManagedIdentityCredential as BlockingManagedIdentityCredential
from azure.identity.aio import ClientAssertionCredential, ManagedIdentityCredential

from shared.adapters.blobs import BlobContainer
from shared.adapters.graph import GraphTenant
from shared.adapters.keys import SigningKeys
from shared.adapters.servicebus import ServiceBus
from shared.adapters.sign_in import NEEDS_CONSENT, is_refusal
from shared.adapters.signing import FileSigner, VaultSigner
from shared.adapters.tables import Tables
from shared.clock import Clock
from shared.errors import Denied, Transient
from shared.quota import DOCUMENTED, Quota
from shared.settings import Settings


class Cloud:
    """The adapters of one process. `retry_budget`: seconds that a Graph call may spend waiting.

    `quota`: what Graph allows the app in each tenant.
    """

    def __init__(self, settings: Settings, retry_budget: float, clock: Clock, quota: Quota = DOCUMENTED) -> None:
        self._settings = settings
        self._budget = retry_budget
        self._clock = clock
        self._quota = quota
        self._graphs: dict[str, GraphTenant] = {}
        self._credentials: list[ClientAssertionCredential] = []

    @cached_property
    def identity(self) -> ManagedIdentityCredential:
        """The user-assigned managed identity: storage and Service Bus in the app's own subscription."""
        return ManagedIdentityCredential(client_id=self._settings.managed_identity_client_id)

    @cached_property
    def _assertions(self) -> BlockingManagedIdentityCredential:
        """The same identity again: ClientAssertionCredential takes nothing but a callable that does not await."""
        return BlockingManagedIdentityCredential(client_id=self._settings.managed_identity_client_id)

    @cached_property
    def tables(self) -> Tables:
        return Tables(self._settings.tables_endpoint, self.identity)

    @cached_property
    def checkpoints(self) -> BlobContainer:
        return BlobContainer(self._settings.checkpoints, self.identity)

    @cached_property
    def signer(self) -> FileSigner | VaultSigner:
        """One of the two is set: the settings have made sure."""
        signing = self._settings.signing
        if signing.key_file is not None:
            return FileSigner(signing.key_file)
        return VaultSigner(signing.vault_key, signing.vault_scope, self.identity)

    @cached_property
    def messages(self) -> ServiceBus:
        return ServiceBus(self._settings.bus, self.identity)

    @cached_property
    def keys(self) -> SigningKeys:
        return SigningKeys(self._settings.login_endpoint, self._clock)

    def credential(self, tenant: str) -> ClientAssertionCredential:
        """Sign-in to a tenant without a secret: the managed identity vouches for the multitenant app.

        Instance discovery is off because the login endpoint is a setting: there is nothing to discover.
        """
        credential = ClientAssertionCredential(
            tenant,
            self._settings.client_id,
            self._assertion,
            authority=self._settings.login_endpoint,
            disable_instance_discovery=True,
        )
        self._credentials.append(credential)
        return credential

    def _assertion(self) -> str:
        return str(self._assertions.get_token(self._settings.token_exchange_scope).token)

    def graph(self, tenant: str) -> GraphTenant:
        """Graph of a tenant, the same object for the same tenant."""
        if tenant not in self._graphs:
            endpoint = self._settings.graph_endpoint
            credential = self.credential(tenant)
            self._graphs[tenant] = GraphTenant(
                tenant, endpoint, credential, self._budget, self._clock, quota=self._quota
            )
        return self._graphs[tenant]

    async def granted(self, tenant: str) -> tuple[str, frozenset[str]]:
        """The app's object id in a tenant and the Graph application permissions consented to there.

        Read from a fresh token, which names them; nothing is decided from it but what `doctor` shows. Raises Denied
        when the tenant refuses the sign-in, Transient when it cannot be asked.
        """
        credential = self.credential(tenant)
        try:
            token = await credential.get_token(f"{self._settings.graph_endpoint}/.default")
        except ClientAuthenticationError as error:
            if not is_refusal(error):
                raise Transient(f"tenant {tenant}: nobody answers the sign-in") from error
            raise Denied(f"tenant {tenant}: sign-in was refused", NEEDS_CONSENT) from error
        except (ServiceRequestError, ServiceResponseError) as error:
            raise Transient(f"tenant {tenant}: {type(error).__name__}") from error
        claims = jwt.decode(token.token, options={"verify_signature": False})
        return str(claims["oid"]), frozenset(claims.get("roles", ()))

    async def close(self) -> None:
        """Close whatever was opened."""
        for graph in self._graphs.values():
            await graph.close()
        for credential in self._credentials:
            await credential.close()
        for name in ("tables", "checkpoints", "signer", "messages", "keys", "identity"):
            if name in self.__dict__:
                await self.__dict__[name].close()
        if "_assertions" in self.__dict__:
            self._assertions.close()
