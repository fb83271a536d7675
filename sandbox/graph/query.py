"""The query options of a request: parsed, and checked against what the type and Microsoft's documentation allow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

from sandbox.graph import filters
from sandbox.graph.refusals import refuse
from sandbox.graph.refusals_protocol import MAX_CLAUSES
from sandbox.graph.schema import Property, entity_type, selectable

COLLECTION = frozenset({"$select", "$filter", "$top", "$count", "$expand", "$orderby", "$skiptoken"})
SINGLE = frozenset({"$select", "$expand"})
NONE: frozenset[str] = frozenset()
MAX_TOP = 999
DIRECTORY_TYPES = frozenset(
    {"user", "group", "device", "servicePrincipal", "directoryObject", "directoryRole", "administrativeUnit"}
)
"""Types whose advanced queries need ConsistencyLevel: eventual and $count=true."""

_EXPAND_ITEM = re.compile(r"\s*(?P<name>\w+)(?:\((?P<inner>[^()]*)\))?\s*(?:,|$)")


@dataclass(frozen=True)
class Query:
    """Options as values; an absent one is empty."""

    select: tuple[str, ...] = ()
    filter: filters.Node | None = None
    top: int | None = None
    count: bool = False
    expand: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    orderby: tuple[str, bool] | None = None
    skiptoken: str = ""
    raw: Mapping[str, str] = field(default_factory=dict)

    @property
    def comparisons(self) -> list[filters.Compare]:
        """Every comparison of $filter."""
        return filters.comparisons(self.filter) if self.filter is not None else []


def options_of(text: str) -> dict[str, str]:
    """The options of a query string, percent-decoded; the same one twice is refused."""
    found: dict[str, str] = {}
    for part in filter(None, text.split("&")):
        name, _, value = part.partition("=")
        name = unquote_plus(name)
        if name in found:
            raise refuse("query-option-twice", option=name)
        found[name] = unquote_plus(value)
    return found


def understood(text: str, entity: str, allowed: frozenset[str], *, eventual: bool) -> Query:
    """A query string as options of a type; `eventual` says whether ConsistencyLevel: eventual was sent."""
    raw = options_of(text)
    for name in raw:
        if name.startswith("$") and name not in allowed:
            raise refuse("query-option", option=name)
    query = Query(
        select=_select(raw["$select"], entity) if "$select" in raw else (),
        filter=_filter(raw["$filter"], entity) if "$filter" in raw else None,
        top=_top(raw["$top"]) if "$top" in raw else None,
        count=_flag(raw.get("$count", "false")),
        expand=_expand(raw["$expand"], entity) if "$expand" in raw else {},
        orderby=_orderby(raw["$orderby"], entity) if "$orderby" in raw else None,
        skiptoken=raw.get("$skiptoken", ""),
        raw=raw,
    )
    _advanced(query, entity, eventual=eventual)
    return query


def _select(text: str, entity: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    known = selectable(entity)
    for name in names:
        if name not in known:
            raise refuse("select-name", name=name, entity=entity)
    return names


def _filter(text: str, entity: str) -> filters.Node:
    node = filters.parse(text)
    clauses = filters.widest(node)
    if entity in DIRECTORY_TYPES and clauses > MAX_CLAUSES:
        raise refuse("filter-clauses", count=clauses)
    for comparison in filters.comparisons(node):
        _check(comparison, entity)
    return node


def _check(comparison: filters.Compare, entity: str) -> None:
    prop = _resolve(comparison.path, entity)
    head = entity_type(entity).properties[comparison.path[0]]
    known = head.operators
    if known is None and entity_type(entity).filter_is_documented and head.name != "id":
        raise refuse("filter-unsupported", name=head.name)
    if known is not None and comparison.operator not in known:
        raise refuse("filter-operator", name=head.name, operator=comparison.operator)
    for literal in comparison.literals:
        if not _fits(prop, literal):
            raise refuse("filter-type", kind=prop.kind, literal=literal.kind, operator=comparison.operator)


def _resolve(path: tuple[str, ...], entity: str) -> Property:
    """The property at the end of a path such as target/objectId."""
    kind = entity
    prop: Property | None = None
    for name in path:
        prop = entity_type(kind).properties.get(name) if kind else None
        if prop is None:
            raise refuse("filter-name", name=name, entity=kind or path[0])
        kind = prop.target
    if prop is None or prop.kind == "object":
        raise refuse("filter-name", name=path[-1], entity=entity)
    return prop


def _fits(prop: Property, literal: filters.Literal) -> bool:
    if literal.kind == "null":
        return True
    if prop.kind == "enum":
        return literal.kind == "string" and literal.value in prop.members
    wanted = {"guid": ("guid", "string"), "integer": ("number",), "date": ("datetime",)}.get(prop.kind, (prop.kind,))
    return literal.kind in wanted and not (literal.kind == "datetime" and literal.value is None)


def _top(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_TOP:
        raise refuse("top", value=text, most=MAX_TOP)
    return int(text)


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise refuse("count", value=text)
    return text == "true"


def _expand(text: str, entity: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    position = 0
    while position < len(text):
        match = _EXPAND_ITEM.match(text, position)
        prop = entity_type(entity).properties.get(match["name"]) if match else None
        if match is None or prop is None or not prop.navigation:
            raise refuse("expand-name", name=match["name"] if match else text, entity=entity)
        inner = options_of((match["inner"] or "").replace(";", "&"))
        if set(inner) - {"$select"}:
            raise refuse("query-option", option=min(set(inner) - {"$select"}))
        found[prop.name] = _select(inner["$select"], prop.target) if "$select" in inner else ()
        position = match.end()
    return found


def _orderby(text: str, entity: str) -> tuple[str, bool]:
    name, _, direction = text.strip().partition(" ")
    if name not in entity_type(entity).properties or direction.strip().lower() not in ("", "asc", "desc"):
        raise refuse("orderby-name", name=name, entity=entity)
    return name, direction.strip().lower() == "desc"


def _advanced(query: Query, entity: str, *, eventual: bool) -> None:
    """ne, not, endsWith, and $orderby beside $filter are advanced queries on directory objects."""
    if entity not in DIRECTORY_TYPES or (eventual and query.count):
        return
    if query.filter is not None:
        operators = {one.operator for one in filters.comparisons(query.filter)}
        if operators & {"ne", "endswith"} or filters.negates(query.filter) or query.orderby:
            raise refuse("advanced-query")
