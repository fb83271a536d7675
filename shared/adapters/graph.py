"""Microsoft Graph of one tenant, through msgraph-sdk's request adapter, authentication and middleware.

The SDK's generated models are left out on purpose: the first use of one costs over a second and 36 MB, and a plan
needs a handful of properties. Its own retry is off: it repeats POST without knowing what that means here.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpcore  # noqa: F401 - httpx loads it with its first connection: the first leaver shall not wait for that
import httpx
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError, ServiceResponseError
from kiota_abstractions.method import Method
from kiota_abstractions.native_response_handler import NativeResponseHandler
from kiota_abstractions.request_information import RequestInformation
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from kiota_http.middleware.options import ResponseHandlerOption, RetryHandlerOption
from msgraph.graph_request_adapter import GraphRequestAdapter, options
from msgraph_core import GraphClientFactory

from shared.adapters.retry import patiently
from shared.adapters.sign_in import NEEDS_CONSENT, is_refusal
from shared.clock import Clock
from shared.errors import Denied, Refused, Transient
from shared.pacer import Pacer
from shared.ports import Call, Reply
from shared.quota import DOCUMENTED, Quota
from shared.replies import LEFT_OUT, REFUSED_WHOLE, TRANSIENT, expect
from shared.together import together

MOST_IN_BATCH = 20
LONGEST_WAIT = 3600.0
"""Seconds: whatever `Retry-After` says, the other side is asked again after so long."""

SIGNED_OUT = Reply(401, {"error": {"code": "SignInRefused"}})
"""Reply to what never left, because the sign-in was refused."""

TIMEOUT = httpx.Timeout(30.0, connect=10.0)
CONNECTIONS = httpx.Limits(max_connections=20, max_keepalive_connections=20, keepalive_expiry=60.0)


class GraphTenant:
    """One tenant's Graph. `budget`: seconds that a call may spend waiting; `tenant` only names it in errors."""

    def __init__(
        self,
        tenant: str,
        endpoint: str,
        credential: AsyncTokenCredential,
        budget: float,
        clock: Clock,
        *,
        quota: Quota = DOCUMENTED,
    ) -> None:
        self._tenant = tenant
        self._base = f"{endpoint}/v1.0"
        self._budget = budget
        self._clock = clock
        self._pacer = Pacer(clock, quota)
        provider = AzureIdentityAuthenticationProvider(
            credential, scopes=[f"{endpoint}/.default"], allowed_hosts=[str(urlsplit(endpoint).hostname)]
        )
        no_retry = {RetryHandlerOption.get_key(): RetryHandlerOption(max_retries=0, should_retry=False)}
        self._connections = httpx.AsyncHTTPTransport(limits=CONNECTIONS)
        self._http = GraphClientFactory.create_with_default_middleware(
            options={**options, **no_retry},
            client=httpx.AsyncClient(timeout=TIMEOUT, transport=self._connections),
        )
        self._adapter = GraphRequestAdapter(provider, client=self._http)

    async def close(self) -> None:
        """The connections too: the middleware that stands before them does not pass it on."""
        await self._http.aclose()
        await self._connections.aclose()

    def room(self, writes: int, *, again: bool) -> float:
        return self._pacer.room(writes, again=again)

    async def send(self, calls: Sequence[Call], *, in_order: bool = False, urgent: bool = False) -> list[Reply]:
        if len(calls) == 1:
            return self._admitted([await self._single(calls[0], urgent=urgent)])
        chunks = [calls[at : at + MOST_IN_BATCH] for at in range(0, len(calls), MOST_IN_BATCH)]
        if in_order and len(chunks) > 1:
            raise ValueError(f"at most {MOST_IN_BATCH} calls go out in one order")
        replies = await together(*(self._batch(one, in_order=in_order, urgent=urgent) for one in chunks))
        return self._admitted([reply for chunk in replies for reply in chunk])

    def _admitted(self, replies: list[Reply]) -> list[Reply]:
        """Raises Denied when none got past the sign-in; what others of them were answered is never lost."""
        if replies and all(reply is SIGNED_OUT for reply in replies):
            raise Denied(f"tenant {self._tenant}: sign-in was refused", NEEDS_CONSENT)
        return replies

    async def follow(self, reply: Reply, *, urgent: bool = False) -> list[Mapping[str, Any]]:
        body = expect(reply, "a page", f"the permission to read it in tenant {self._tenant}")
        items = self._items(body)
        while (link := body.get("@odata.nextLink")) is not None:
            body = await self._read(self._below_base(link), urgent=urgent)
            items += self._items(body)
        return items

    async def pages(self, path: str, *, urgent: bool = False) -> AsyncIterator[list[Mapping[str, Any]]]:
        following: str | None = path
        while following is not None:
            body = await self._read(following, urgent=urgent)
            yield self._items(body)
            link = body.get("@odata.nextLink")
            following = None if link is None else self._below_base(link)

    async def _read(self, path: str, *, urgent: bool) -> Mapping[str, Any]:
        [reply] = await self.send([Call("GET", path)], urgent=urgent)
        return expect(reply, path.split("?", maxsplit=1)[0], f"the permission to read it in tenant {self._tenant}")

    def _items(self, body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The items of a page: one that has none is not an empty page."""
        items = body.get("value")
        if not isinstance(items, list):
            raise Transient(f"tenant {self._tenant}: a page came without its items")
        return list(items)

    def _below_base(self, link: str) -> str:
        """A next link as a path; one that leads elsewhere is not followed, for it would carry the token there."""
        if not link.startswith(f"{self._base}/"):
            raise Refused(f"tenant {self._tenant}: a next link leads away from {self._base}")
        return link.removeprefix(self._base)

    async def _single(self, call: Call, *, urgent: bool = False) -> Reply:
        reply, until = Reply(0), self._until()

        async def request() -> list[Reply]:
            return [await self._once(call.method, call.path, call.body)]

        async def attempt() -> float | None:
            nonlocal reply
            [reply] = await self._pacer.send([call], request, urgent=urgent, until=until)
            return reply.retry_after if reply.status in TRANSIENT else None

        await patiently(attempt, self._budget, self._clock)
        return reply

    async def _batch(self, calls: Sequence[Call], *, in_order: bool, urgent: bool) -> list[Reply]:
        """One batch, and again for those of it that were throttled, failed in passing, or were not answered."""
        replies: dict[int, Reply] = {}
        until = self._until()

        def still_open() -> list[int]:
            return [at for at in range(len(calls)) if _is_open(replies, at, in_order=in_order)]

        async def attempt() -> float | None:
            todo = still_open()
            parts = [calls[at] for at in todo]

            async def request() -> list[Reply]:
                return _batch_replies(await self._once("POST", "/$batch", _batch_body(parts, in_order=in_order)), parts)

            replies.update(zip(todo, await self._pacer.send(parts, request, urgent=urgent, until=until), strict=True))
            return max((replies[at].retry_after for at in still_open()), default=None)

        await patiently(attempt, self._budget, self._clock)
        if all(reply.status in REFUSED_WHOLE for reply in replies.values()):
            return [await self._single(call, urgent=urgent) for call in calls]
        return [replies[at] for at in range(len(calls))]

    def _until(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self._budget)

    async def _once(self, method: str, path: str, body: Mapping[str, Any] | None) -> Reply:
        info = RequestInformation()
        info.http_method = Method[method]
        info.url = self._base + path.replace(" ", "%20")
        info.headers.try_add("Accept", "application/json")
        if body is not None:
            info.set_stream_content(json.dumps(body).encode(), "application/json")
        info.add_request_options([ResponseHandlerOption(response_handler=NativeResponseHandler())])
        try:
            response = await self._adapter.send_primitive_async(info, "bytes", {})
        except ClientAuthenticationError as error:
            return SIGNED_OUT if is_refusal(error) else Reply(0)
        except (httpx.TransportError, ServiceRequestError, ServiceResponseError):
            return Reply(0)
        return _reply(response)


def _reply(response: httpx.Response) -> Reply:
    status = response.status_code
    body: Any = None
    with contextlib.suppress(ValueError):
        body = response.json() if response.content else {}
    readable = isinstance(body, dict)
    return Reply(
        0 if response.is_success and not readable else status,  # an answer that cannot be read tells nothing
        body if readable else {},
        response.headers.get("request-id", ""),
        _seconds(response.headers.get("retry-after")),
        *_usage(response.headers),
    )


def _batch_body(calls: Sequence[Call], *, in_order: bool) -> dict[str, Any]:
    requests: list[dict[str, Any]] = []
    for at, call in enumerate(calls):
        one: dict[str, Any] = {"id": str(at), "method": call.method, "url": call.path.replace(" ", "%20")}
        if call.body is not None:
            one |= {"headers": {"Content-Type": "application/json"}, "body": call.body}
        if in_order and requests:
            one["dependsOn"] = [requests[-1]["id"]]
        requests.append(one)
    return {"requests": requests}


def _batch_replies(outer: Reply, calls: Sequence[Call]) -> list[Reply]:
    """The reply to each call; all get the outer one's fate when the batch itself failed, and none is no answer."""
    if not outer.ok:
        return [outer] * len(calls)
    found = outer.body.get("responses")
    listed = found if isinstance(found, list) else []
    answers = {str(answer.get("id")): answer for answer in listed if isinstance(answer, dict)}
    return [_inner(answers.get(str(at)), outer) for at in range(len(calls))]


def _inner(answer: Mapping[str, Any] | None, outer: Reply) -> Reply:
    status = None if answer is None else answer.get("status")
    if answer is None or not isinstance(status, int):
        return Reply(0)
    headers = {name.lower(): str(value) for name, value in (answer.get("headers") or {}).items()}
    body = answer.get("body")
    body = body if isinstance(body, dict) else {}
    error = body.get("error")
    inner = error.get("innerError") if isinstance(error, dict) else None
    named = inner.get("request-id") if isinstance(inner, dict) else None
    request_id = headers.get("request-id") or named or outer.request_id
    return Reply(status, body, str(request_id), _seconds(headers.get("retry-after")), *_usage(headers))


def _is_open(replies: Mapping[int, Reply], at: int, *, in_order: bool) -> bool:
    """Whether a call is still to be answered: also one that was left out because the one before is still open."""
    reply = replies.get(at)
    if reply is None or reply.status in TRANSIENT:
        return True
    left_out = in_order and at > 0 and reply.status == LEFT_OUT
    return left_out and _is_open(replies, at - 1, in_order=in_order)


def _usage(headers: Mapping[str, str]) -> tuple[float | None, float | None]:
    """What the request cost and how much of the quota is used, where Graph says so."""
    return _number(headers.get("x-ms-resource-unit")), _number(headers.get("x-ms-throttle-limit-percentage"))


def _seconds(header: str | None) -> float:
    """Retry-After in seconds; Graph writes no dates there, and what is unreadable asks for nothing."""
    return min(_number(header) or 0.0, LONGEST_WAIT)


def _number(header: str | None) -> float | None:
    """A number that is not negative; None where there is none."""
    try:
        number = float(header or "")
    except ValueError:
        return None
    return number if 0 <= number < math.inf else None
