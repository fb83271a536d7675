"""Checks of request bodies against the types of the metadata: names, kinds, enum members, what is read-only."""

from __future__ import annotations

import re
from datetime import UTC, date
from typing import Any

from sandbox.graph.filters import instant
from sandbox.graph.refusals import refuse
from sandbox.graph.schema import EntityType, Property, entity_type

_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_DURATION = re.compile(r"-?P(?=.)(?:\d+D)?(?:T(?=.)(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?")


def check_body(body: Any, kind: EntityType, *, writable: bool = True) -> None:
    """Refuse a body that is no object of the type. With `writable` false, read-only properties may be there."""
    if not isinstance(body, dict):
        raise refuse("body-json")
    for name, value in body.items():
        if name == "@odata.type" or _is_annotation(name, kind):
            continue
        prop = kind.properties.get(name)
        if prop is None:
            raise refuse("property-name", name=name)
        if writable and prop.read_only and value is not None:
            raise refuse("property-read-only", name=name)
        _check_value(prop, value, kind.name)


def _is_annotation(name: str, kind: EntityType) -> bool:
    """`property@odata.…` says something of a property."""
    head, mark, _ = name.partition("@odata.")
    return bool(mark) and head in kind.properties


def _check_value(prop: Property, value: Any, entity: str) -> None:
    if value is None:
        return
    if prop.many:
        if not isinstance(value, list) or not all(_fits(prop, one) for one in value):
            raise refuse("property-value", name=prop.name, entity=entity)
        return
    if not _fits(prop, value):
        raise refuse("property-value", name=prop.name, entity=entity)


def _fits(prop: Property, value: Any) -> bool:
    if prop.kind == "object":
        if isinstance(value, dict):
            check_body(value, entity_type(prop.target), writable=False)
        return isinstance(value, dict)
    if prop.kind in ("integer", "number"):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if prop.kind == "boolean":
        return isinstance(value, bool)
    return isinstance(value, str) and _reads_as(prop, value)


def _reads_as(prop: Property, text: str) -> bool:
    match prop.kind:
        case "enum":
            return set(text.split(",")) <= prop.members
        case "datetime":
            return "T" in text and instant(text) is not None
        case "guid":
            return _GUID.fullmatch(text) is not None
        case "duration":
            return _DURATION.fullmatch(text) is not None
        case "date":
            return _is_date(text)
    return True


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def canonical(body: dict[str, Any], kind: EntityType) -> dict[str, Any]:
    """A body as it is stored: instants in UTC, as Graph gives them back."""
    found = {}
    for name, value in body.items():
        prop = kind.properties.get(name)
        found[name] = _utc(value, kind.name, name) if prop and prop.kind == "datetime" and value else value
    return found


def _utc(text: str, entity: str, name: str) -> str:
    try:
        moment = instant(text)
        return f"{moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()}Z" if moment else text
    except OverflowError as error:
        raise refuse("property-value", name=name, entity=entity) from error
