"""What an operation is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sandbox.graph.directory import Directory
from sandbox.graph.query import Query
from sandbox.graph.replies import View
from sandbox.graph.store import Row


@dataclass(frozen=True)
class Caller:
    """The application that calls, as its verified token says: object id, and permissions consented to it."""

    object_id: str
    permissions: frozenset[str]


@dataclass(frozen=True)
class Asked:
    """A request before it is understood: outer, or one of a batch."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: Any = None
    origin: str = ""


@dataclass(frozen=True)
class Answer:
    """A reply: a JSON object, plain text, or nothing."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True)
class Call:
    """A request that has been matched to a route and whose query, permissions and body have been checked."""

    directory: Directory
    caller: Caller
    asked: Asked
    params: Mapping[str, str]
    query: Query
    body: Row
    entity: str
    delivery_s: float = 0.0

    @property
    def view(self) -> View:
        """The directory as the caller sees it."""
        return View(self.directory, self.caller.permissions)

    def row(self, table: str, param: str) -> Row | None:
        """The row that a path segment names, as last written."""
        return self.directory[table].get(self.params[param])


Operation: TypeAlias = Callable[[Call], Answer]
