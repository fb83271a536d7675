"""What a Graph reply means for somebody who reads: the value, or the error that says what happens next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.errors import Denied, Refused, Transient
from shared.ports import Reply

TRANSIENT = frozenset({0, 408, 423, 429, 500, 502, 503, 504, 509})
"""Statuses that say nothing about the request itself: no answer, throttled, or the service's own trouble."""

LEFT_OUT = 424
"""Status of a call in a batch that was not tried because the one before it was refused."""

REFUSED_WHOLE = frozenset({400, 413, 415})
"""Refusals of a batch that one part of it may have caused: each part then goes alone, so that no other is lost."""


def expect(reply: Reply, what: str, needs: str) -> Mapping[str, Any]:
    """The body of a successful reply: unknown is never empty.

    `what` names the reading and `needs` the permission that cures a 403, for the messages of Transient,
    Denied and Refused (404 too: whoever can live without the object looks at the status before).
    """
    if reply.ok:
        return reply.body
    if reply.status in TRANSIENT or reply.status == 401:  # a token that is refused now is another one later
        raise Transient(f"{what}: {describe(reply)}", reply.retry_after)
    if reply.status == 403:
        raise Denied(f"{what}: {describe(reply)}", needs)
    raise Refused(f"{what}: {describe(reply)}")


def describe(reply: Reply) -> str:
    """Status, code and request id: enough to find it in Microsoft's logs; never the message, which may carry names."""
    if reply.status == 0:
        return "no answer"
    return " ".join(part for part in (str(reply.status), reply.code, f"request {reply.request_id}") if part)
