"""A container of Azure Blob storage that is only added to; its retention policy keeps what is in it from changing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cached_property

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob.aio import ContainerClient

from shared.adapters.failures import named
from shared.errors import Conflict, Denied

NEEDS = "the role JML Checkpoint Writer on that container for the managed identity (docs/proof.md)"


class BlobContainer:
    """Container at `url`."""

    def __init__(self, url: str, credential: AsyncTokenCredential) -> None:
        self._url = url
        self._credential = credential
        self._subject = f"container {url.rpartition('/')[2]}"

    @cached_property
    def _client(self) -> ContainerClient:
        """Made when the first checkpoint is due."""
        return ContainerClient.from_container_url(
            self._url, credential=self._credential, connection_timeout=5, read_timeout=10, retry_total=2
        )

    async def close(self) -> None:
        if "_client" in self.__dict__:
            await self._client.close()

    async def add(self, name: str, content: bytes) -> None:
        """With `If-None-Match: *`. Whoever may only add is told 403, not 409, of a name that is taken."""
        try:
            await self._client.upload_blob(name, content, overwrite=False)
        except AzureError as error:
            failure = named(self._subject, error, NEEDS)
            if isinstance(failure, Denied) and await self.get(name) is not None:
                raise Conflict(f"{self._subject}: {name} is there already") from error
            raise failure from error

    async def get(self, name: str) -> bytes | None:
        try:
            download = await self._client.download_blob(name)
            return bytes(await download.readall())
        except ResourceNotFoundError as error:
            if getattr(error, "error_code", "") == "BlobNotFound":
                return None
            raise self._missing() from error
        except AzureError as error:
            raise named(self._subject, error, NEEDS) from error

    async def names(self) -> AsyncIterator[str]:
        try:
            async for name in self._client.list_blob_names():
                yield name
        except HttpResponseError as error:
            if isinstance(error, ResourceNotFoundError):
                raise self._missing() from error
            raise named(self._subject, error, NEEDS) from error
        except AzureError as error:
            raise named(self._subject, error, NEEDS) from error

    def _missing(self) -> Denied:
        return Denied(f"{self._subject}: there is none", "a container, made by the deployment (docs/proof.md)")
