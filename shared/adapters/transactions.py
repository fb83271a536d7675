"""Rows of one partition, inserted all or none (Microsoft: performing entity group transactions).

The SDK can do that, but takes every part of request and reply through Python's mail parser, half a millisecond of
processor time a row, and a leaver's run writes two hundred. Here the request is text and the reply is read by its
status lines; authentication, retries and connections are the SDK's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import formatdate
from typing import Any
from uuid import uuid4

from azure.core import AsyncPipelineClient
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy, AsyncRetryPolicy, UserAgentPolicy
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest

from shared.clock import to_text
from shared.ports import Row, Value

SCOPE = "https://storage.azure.com/.default"
VERSION = "2019-02-02"
_STATUS = re.compile(r"^HTTP/1\.1 (\d{3})", re.MULTILINE)
_ETAG = re.compile(r"^etag: *(\S+)", re.MULTILINE | re.IGNORECASE)
_CODE = re.compile(r'"code" *: *"(\w+)"')


class Transactions:
    """Inserts into the tables of one storage account, over the connections of `transport`."""

    def __init__(
        self, endpoint: str, credential: AsyncTokenCredential, transport: AsyncHttpTransport[Any, Any]
    ) -> None:
        self._endpoint = endpoint
        policies = [UserAgentPolicy(), AsyncRetryPolicy(), AsyncBearerTokenCredentialPolicy(credential, SCOPE)]
        self._client: AsyncPipelineClient[HttpRequest, AsyncHttpResponse] = AsyncPipelineClient(
            endpoint, policies=policies, transport=transport
        )

    async def insert(self, table: str, rows: Sequence[Row]) -> list[str]:
        """The versions of the rows, in their order. Raises HttpResponseError with the status of what was refused."""
        boundary = f"batch_{uuid4()}"
        request = HttpRequest(
            "POST",
            f"{self._endpoint}/$batch",
            headers={
                "Content-Type": f"multipart/mixed; boundary={boundary}",
                "x-ms-version": VERSION,
                "x-ms-date": formatdate(usegmt=True),
                "DataServiceVersion": "3.0",
            },
            content=_body(boundary, f"{self._endpoint}/{table}", rows),
        )
        response = await self._client.send_request(request)
        text = response.text()
        statuses = [int(status) for status in _STATUS.findall(text)]
        if response.status_code != 202 or any(status >= 300 for status in statuses):
            raise _refusal(response, statuses, text)
        etags = _ETAG.findall(text)
        if len(etags) != len(rows):
            raise HttpResponseError(f"{len(rows)} rows went out, {len(etags)} were answered", response=response)
        return etags


def _body(boundary: str, url: str, rows: Sequence[Row]) -> bytes:
    changes = boundary.replace("batch", "changeset")
    parts = "".join(
        f"--{changes}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        f"POST {url} HTTP/1.1\r\nContent-Type: application/json\r\nAccept: application/json;odata=minimalmetadata\r\n"
        f"Prefer: return-no-content\r\nDataServiceVersion: 3.0\r\n\r\n{json.dumps(_entity(row))}\r\n"
        for row in rows
    )
    head = f"--{boundary}\r\nContent-Type: multipart/mixed; boundary={changes}\r\n\r\n"
    return f"{head}{parts}--{changes}--\r\n--{boundary}--\r\n".encode()


def _entity(row: Row) -> Mapping[str, object]:
    """As the table service writes values; a type is named where JSON has none of its own."""
    entity: dict[str, object] = {"PartitionKey": row.partition, "RowKey": row.key}
    for name, value in row.values.items():
        entity |= _property(name, value)
    return entity


def _property(name: str, value: Value) -> Mapping[str, object]:
    match value:
        case datetime():
            return {name: to_text(value), f"{name}@odata.type": "Edm.DateTime"}
        case float():
            return {name: value, f"{name}@odata.type": "Edm.Double"}
        case _:
            return {name: value}


def _refusal(response: AsyncHttpResponse, statuses: Sequence[int], text: str) -> HttpResponseError:
    """Of the part that was refused, or of the whole: with its status, and its code in its text."""
    refused = next((status for status in statuses if status >= 300), response.status_code)
    error = HttpResponseError(f"{refused} {' '.join(_CODE.findall(text))}", response=response)
    error.status_code = refused
    return error
