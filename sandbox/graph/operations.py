"""The generic operations: list, count, read one, remove one. A route says which rows they work on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode

from sandbox.graph import filters
from sandbox.graph.calls import Answer, Call, Operation
from sandbox.graph.permissions import hidden_properties
from sandbox.graph.refusals import refuse
from sandbox.graph.replies import type_of
from sandbox.graph.store import Row

Rows: TypeAlias = Callable[[Call], Iterable[Row]]
Find: TypeAlias = Callable[[Call], Row | None]

INDEX_OF_PATH: dict[tuple[str, ...], str] = {("target", "objectId"): "_target"}
"""Paths of $filter that an index under another name answers."""


def listing(rows: Rows) -> Operation:
    """A collection: filtered, ordered, counted, paged."""

    def run(call: Call) -> Answer:
        if call.query.skiptoken:
            found, offset = call.directory.pages.resume(call.query.skiptoken)
        else:
            found, offset = _matching(call, rows), 0
        size = call.query.top or call.directory.page_size
        body: Row = {"@odata.context": _context(call)}
        if call.query.count and not call.query.skiptoken:
            body["@odata.count"] = len(found)
        if offset + size < len(found):
            body["@odata.nextLink"] = _next_link(call, call.directory.pages.keep(found, offset + size))
        body["value"] = [_shown(call, row) for row in found[offset : offset + size]]
        return Answer(200, body)

    return run


def counting(rows: Rows) -> Operation:
    """The size of a collection as plain text (`/$count`)."""
    return lambda call: Answer(200, str(len(_matching(call, rows))))


def reading(find: Find) -> Operation:
    """One object."""

    def run(call: Call) -> Answer:
        return Answer(200, {"@odata.context": f"{_context(call)}/$entity", **_shown(call, present(call, find))})

    return run


def removing(table: str, find: Find, key: Callable[[Row], str] = lambda row: str(row["id"])) -> Operation:
    """One object removed; the reply has no body."""

    def run(call: Call) -> Answer:
        call.directory[table].remove(key(present(call, find)))
        return Answer(204)

    return run


def present(call: Call, find: Find) -> Row:
    """The row that is to be there; a 404 that names the last segment where it is not."""
    row = find(call)
    if row is None:
        raise refuse("no-such-object", id=list(call.params.values())[-1] if call.params else "")
    return row


# -- which rows ---------------------------------------------------------------------------------------------------


def table(name: str) -> Rows:
    """All rows of a table; an equality on an indexed field spares the scan."""

    def rows(call: Call) -> Iterable[Row]:
        source = call.directory[name]
        for one in _conjuncts(call.query.filter):
            index = INDEX_OF_PATH.get(one.path, one.path[0])
            if one.operator == "eq" and index in source.indexed and isinstance(one.literals[0].value, str):
                return source.seen_where(index, one.literals[0].value)
        return source.seen_rows()

    return rows


def of_user(name: str, field: str) -> Rows:
    """Rows of a table that belong to the user in the path."""
    return lambda call: call.directory[name].seen_where(field, seen_user(call)["id"])


def one(name: str, param: str) -> Find:
    """The row of a table that a path segment names, as reads show it."""
    return lambda call: call.directory[name].seen(call.params[param])


def one_of_user(name: str, param: str, field: str, key: Callable[[Call], str] | None = None) -> Find:
    """The row that a path segment names, if it belongs to the user in the path."""

    def find(call: Call) -> Row | None:
        owner = call.directory.user_key(call.params["user"])
        row = call.directory[name].get(key(call) if key else call.params[param])
        return row if row is not None and row[field] == owner else None

    return find


def seen_user(call: Call) -> Row:
    """The user in the path as reads show it; 404 where there is none."""
    row = call.directory["users"].seen(call.directory.user_key(call.params["user"]))
    if row is None:
        raise refuse("no-such-object", id=call.params["user"])
    return row


def user(call: Call) -> Row:
    """The user in the path as last written; 404 where there is none."""
    row = call.directory["users"].get(call.directory.user_key(call.params["user"]))
    if row is None:
        raise refuse("no-such-object", id=call.params["user"])
    return row


def of_type(rows: Rows, entity: str) -> Rows:
    """Only the rows of one type, for a cast segment or a typed collection."""
    return lambda call: (row for row in rows(call) if type_of(row, "directoryObject") == entity)


def _conjuncts(node: filters.Node | None) -> list[filters.Compare]:
    match node:
        case filters.Compare():
            return [node]
        case filters.Join("and", parts):
            return [part for part in parts if isinstance(part, filters.Compare)]
    return []


def _matching(call: Call, rows: Rows) -> list[Row]:
    found = rows(call)
    if call.query.filter is not None:
        hidden = hidden_properties(call.entity, call.caller.permissions)
        found = filter(filters.compiled(call.query.filter, hidden), found)
    listed = list(found)
    if call.query.orderby is not None:
        name, descending = call.query.orderby
        listed.sort(key=lambda row: str(row.get(name) or "").casefold(), reverse=descending)
    return listed


def _shown(call: Call, row: Row) -> Row:
    return call.view.shown(row, call.entity, call.query.select, call.query.expand)


def _context(call: Call) -> str:
    return f"{call.asked.origin}/v1.0/$metadata#{call.asked.path.strip('/')}"


def _next_link(call: Call, token: str) -> str:
    options: dict[str, Any] = {**call.query.raw, "$skiptoken": token}
    text = urlencode(options, safe="$", quote_via=quote)
    return f"{call.asked.origin}/v1.0/{quote(call.asked.path.strip('/'), safe='/$.')}?{text}"
