"""Pages of a collection: what is left of a listing is kept under a token, so that the pages fit together."""

from __future__ import annotations

import secrets
from collections import OrderedDict

from sandbox.graph.refusals import refuse
from sandbox.graph.store import Row

KEPT = 500
"""Listings under way at once; the oldest token expires beyond it, as Graph's do after a while."""


class Pages:
    """Continuations by token. A token may be used again, as a client that retries does."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[list[Row], int]] = OrderedDict()

    def keep(self, rows: list[Row], offset: int) -> str:
        token = secrets.token_urlsafe(18)
        self._kept[token] = (rows, offset)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return token

    def resume(self, token: str) -> tuple[list[Row], int]:
        if token not in self._kept:
            raise refuse("skiptoken")
        return self._kept[token]
