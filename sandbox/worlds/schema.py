"""The JSON Schema of world files, for editors: `python -m sandbox.worlds.schema` writes sandbox/world.schema.json.

The sandbox's own words come from the pydantic model; the properties of users, groups and the rest from Microsoft's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sandbox.graph.schema import Property, entity_type
from sandbox.world import World
from sandbox.world_names import NAMED_TYPES

SCHEMA = Path(__file__).parent.parent / "world.schema.json"
_KINDS = {"boolean": "boolean", "integer": "integer", "number": "number", "object": "object"}
_MODELS = {
    "groups": "Group",
    "devices": "Device",
    "service_principals": "ServicePrincipal",
    "administrative_units": "AdministrativeUnit",
    "access_packages": "AccessPackage",
}


def schema() -> dict[str, Any]:
    """The schema as it is to be on disk."""
    found = World.model_json_schema()
    parts = found["$defs"]
    parts["User"] = {
        "type": "object",
        "properties": {**_properties("user"), "manager": {"type": "string"}},
        "required": ["displayName", "userPrincipalName"],
        "additionalProperties": False,
    }
    for section in ("users", "deleted_users"):
        parts["Tenant"]["properties"][section]["items"] = {"$ref": "#/$defs/User"}
    for section, model in _MODELS.items():
        part = parts[model]
        part["properties"] = {**_properties(NAMED_TYPES[section]), **part["properties"]}
        part["additionalProperties"] = False
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A world of the sandbox", **found}


def text() -> str:
    return json.dumps(schema(), indent=1, sort_keys=True) + "\n"


def _properties(kind: str) -> dict[str, Any]:
    structural = (p for p in entity_type(kind).properties.values() if not p.navigation and not p.name.startswith("@"))
    return {prop.name: _one(prop) for prop in structural}


def _one(prop: Property) -> dict[str, Any]:
    one: dict[str, Any] = {"type": [_KINDS.get(prop.kind, "string"), "null"]}
    if prop.members:
        one["enum"] = [*sorted(prop.members), None]
    return {"type": "array", "items": one} if prop.many else one


if __name__ == "__main__":
    SCHEMA.write_text(text(), encoding="utf-8")
