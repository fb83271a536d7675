"""What the domain asks of the outside world, as types: adapters implement them, tests fake them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

Value = str | int | bool | float | datetime
Entity = Mapping[str, Value]
"""A row's own properties, beside its keys."""


@dataclass(frozen=True)
class Row:
    """A row of a table; `version` names what was read, for compare-and-swap (empty: not read yet)."""

    partition: str
    key: str
    values: Entity
    version: str = ""


class TableStore(Protocol):
    """Tables with optimistic concurrency. Every method may raise Transient."""

    async def get(self, table: str, partition: str, key: str) -> Row | None: ...

    async def insert(self, table: str, rows: Sequence[Row]) -> list[str]:
        """All rows or none, at most 100 and of one partition; Conflict when any of them exists.

        Gives their versions.
        """
        ...

    async def replace(self, table: str, row: Row) -> str:
        """Put `row` in the place of the version it was read as; Conflict when that is no longer there.

        Gives the new version.
        """
        ...

    def query(self, table: str, partition: str, where: Mapping[str, Value] | None = None) -> AsyncIterator[Row]:
        """Every row of the partition whose properties equal `where`, in key order, page by page."""
        ...

    async def page(
        self, table: str, partition: str, where: Mapping[str, Value], size: int, continuation: str | None
    ) -> tuple[list[Row], str | None]:
        """One page of the same, and the continuation of the next (None: that was the last)."""
        ...

    def scan(self, table: str) -> AsyncIterator[Row]:
        """Every row of the table by partition and key, page by page: for checking all of it, not for serving."""
        ...


class Blobs(Protocol):
    """Blobs by name. Every method may raise Transient."""

    async def get(self, name: str) -> bytes | None: ...

    def names(self) -> AsyncIterator[str]:
        """All of them, in their order."""
        ...


class Container(Blobs, Protocol):
    """Blobs of which new ones can be added, and none changed or deleted."""

    async def add(self, name: str, content: bytes) -> None:
        """Conflict when there is one of that name."""
        ...


@dataclass(frozen=True)
class KeyName:
    """A signing key: where it is kept, and its thumbprint (RFC 7638), which follows from the key itself."""

    id: str
    thumbprint: str


class Signer(Protocol):
    async def key(self) -> KeyName:
        """The key that signs. Raises Denied, Refused or Transient when it cannot be had.

        After a signature that was refused it is looked for anew: another one may be current.
        """
        ...

    async def sign(self, digest: bytes) -> bytes:
        """RS256 over a SHA-256 digest, with that key."""
        ...


class Verifier(Protocol):
    async def refusal(self, key: KeyName, digest: bytes, signature: bytes) -> str:
        """Why this is no signature by a key that is trusted; empty when it is one."""
        ...


@dataclass(frozen=True)
class Message:
    """A message to send; `not_before` delays its delivery."""

    queue: str
    id: str
    body: bytes
    session: str | None = None
    not_before: datetime | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


class Messages(Protocol):
    async def send(self, messages: Sequence[Message]) -> None:
        """Send all, in order; raises Transient when it is not known that all were taken."""
        ...

    async def reach(self, queue: str) -> None:
        """Show that messages could be sent to the queue, without sending one. Raises Denied and Transient."""
        ...


@dataclass(frozen=True)
class Call:
    """One request to a tenant's Graph: `path` starts with `/`, below `/v1.0`, its values already escaped.

    A POST or PATCH has a body, if only an empty one: Graph refuses a whole batch in which one has none.
    """

    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Reply:
    """What Graph answered. Status 0: no answer within the retry budget, so it is not known whether it acted.

    `units`: what the request cost; `share`: how much of a quota is used; None where Graph does not say.
    """

    status: int
    body: Mapping[str, Any] = field(default_factory=dict)
    request_id: str = ""
    retry_after: float = 0.0
    units: float | None = None
    share: float | None = None

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def code(self) -> str:
        return str(self._error.get("code", ""))

    @property
    def message(self) -> str:
        return str(self._error.get("message", ""))

    @property
    def _error(self) -> Mapping[str, Any]:
        error = self.body.get("error")
        return error if isinstance(error, Mapping) else {}


class Graph(Protocol):
    """Microsoft Graph v1.0 of one tenant, kept within its quotas. Throttling and lost connections are retried.

    A call that would have to wait for quota, or be retried, for longer than the retry budget is answered so: 429, and
    when to come again.
    """

    async def send(self, calls: Sequence[Call], *, in_order: bool = False, urgent: bool = False) -> list[Reply]:
        """The replies, in the order of `calls`: one plain request, or batches of 20.

        In order: each call waits for the one before, and answers 424 when that one was refused. Urgent: before all
        that waits for quota and is not. Raises Denied when the tenant cannot be signed in to; refusals are replies, and
        so is a sign-in that was refused to a part of many calls only (401).
        """
        ...

    def room(self, writes: int, *, again: bool) -> float:
        """Seconds until so many writes that are not urgent find room beside all that goes on; 0: it is kept for them.

        Otherwise the caller comes again after so long, and asks again then (`again`: with the right of who waited).
        """
        ...

    async def follow(self, reply: Reply, *, urgent: bool = False) -> list[Mapping[str, Any]]:
        """The `value` of a reply and of every page after it. Raises as `expect` does; `urgent` as of `send`."""
        ...

    def pages(self, path: str, *, urgent: bool = False) -> AsyncIterator[list[Mapping[str, Any]]]:
        """Every page of a collection, one in memory at a time. Raises as `expect` does; `urgent` as of `send`."""
        ...
