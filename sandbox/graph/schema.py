"""Microsoft's own property and enum names, read from the models that msgraph-sdk generates from the metadata.

A model's `get_field_deserializers()` names every property; calling each deserializer with a probe shows what it
reads (text, date, enum, object …). The comments above a model's fields are the property's documentation: they say
whether it is read-only, returned by default, a sensitive action, and which operators $filter takes. Nothing of
that is kept by hand here. Models are loaded when first asked for: the first costs more than a second.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

_MODELS = "msgraph.generated.models."
_GETTERS = {
    "get_str_value": "string",
    "get_bool_value": "boolean",
    "get_int_value": "integer",
    "get_float_value": "number",
    "get_datetime_value": "datetime",
    "get_date_value": "date",
    "get_timedelta_value": "duration",
    "get_time_value": "time",
    "get_uuid_value": "guid",
    "get_bytes_value": "string",
}
_PYTHON_KINDS = {"str": "string", "bool": "boolean", "int": "integer", "float": "number", "UUID": "guid"}
_FIELD = re.compile(r"^    # (?P<words>.*)\n    (?P<name>\w+): Optional", re.MULTILINE)
_OPERATORS = re.compile(r"Supports (?:\$select and )?\$filter(?: ?\((?P<list>[^)]*)\))?", re.IGNORECASE)

DOCUMENTED_EXTRA: dict[str, tuple[str, ...]] = {
    # api-facts section 3: documented and taken by the service, yet absent from the metadata.
    "accessPackageAssignment": ("targetId", "assignmentPolicyId", "accessPackageId"),
}

_EVERYWHERE = frozenset({("accessPackageAssignmentRequest", "parameters")})
ABSENT: dict[str, frozenset[tuple[str, str]]] = {
    # Known to the SDK, which serves v1.0 of all clouds, yet absent from the v1.0 metadata of the cloud.
    "public": _EVERYWHERE,
    "usgov": _EVERYWHERE
    | {
        ("accessPackageAssignmentPolicy", "notificationSettings"),
        ("accessPackageAssignmentRequest", "justification"),
        ("accessPackageSubject", "subjectLifecycle"),
        ("fido2AuthenticationMethod", "publicKeyCredential"),
        ("group", "organizationId"),
        ("organization", "defaultUsageLocation"),
        ("servicePrincipal", "resourceSpecificApplicationPermissions"),
        ("servicePrincipal", "verifiedPublisher"),
        ("unifiedRoleAssignment", "principalOrganizationId"),
    },
}

FAMILIES: dict[str, tuple[str, ...]] = {
    # Abstract types whose collections hold these; the subtypes' properties may be selected there.
    "directoryObject": ("user", "group", "servicePrincipal", "device", "directoryRole", "administrativeUnit"),
    "authenticationMethod": (
        "emailAuthenticationMethod",
        "fido2AuthenticationMethod",
        "microsoftAuthenticatorAuthenticationMethod",
        "passwordAuthenticationMethod",
        "phoneAuthenticationMethod",
        "softwareOathAuthenticationMethod",
        "temporaryAccessPassAuthenticationMethod",
        "windowsHelloForBusinessAuthenticationMethod",
    ),
}


@dataclass(frozen=True)
class Property:
    """One property: its kind, whether it is a collection, and what Microsoft's documentation says of it."""

    name: str
    kind: str
    many: bool = False
    target: str = ""
    members: frozenset[str] = frozenset()
    navigation: bool = False
    words: str = ""

    @property
    def read_only(self) -> bool:
        return "Read-only." in self.words

    @property
    def sensitive(self) -> bool:
        return "sensitive action" in self.words

    @property
    def by_default(self) -> bool:
        return "Returned by default" in self.words

    @property
    def on_select(self) -> bool:
        return "Requires $select" in self.words or "eturned only on $select" in self.words

    @property
    def operators(self) -> frozenset[str] | None:
        """The operators that $filter takes here; None where the documentation is silent."""
        found = _OPERATORS.search(self.words)
        if found is None:
            return None
        return frozenset(re.findall(r"[a-z]+", (found["list"] or "eq").lower()))


@dataclass(frozen=True)
class EntityType:
    """A type of the metadata: its properties by name, and those that a plain read returns."""

    name: str
    properties: dict[str, Property]
    default: tuple[str, ...]

    @property
    def filter_is_documented(self) -> bool:
        """Whether the documentation says of each property what $filter takes (users, groups, devices)."""
        return sum(p.operators is not None for p in self.properties.values()) > 8


class _Probe:
    """Answers every getter of a parse node with nothing and remembers which one was asked, and for what."""

    def __init__(self) -> None:
        self.getter = ""
        self.target: Any = None

    def __getattr__(self, getter: str) -> Callable[..., None]:
        def answer(target: Any = None) -> None:
            self.getter, self.target = getter, target

        return answer


@cache
def entity_type(name: str) -> EntityType:
    """The type of that name, e.g. `user`; LookupError where Microsoft has none."""
    return _read(_model(name), name)


@cache
def body_type(path: str) -> EntityType:
    """An action's parameters, by the class path of its request body within msgraph.generated."""
    module, _, class_name = path.rpartition(":")
    return _read(getattr(importlib.import_module(f"msgraph.generated.{module}"), class_name), path)


@cache
def selectable(name: str) -> dict[str, Property]:
    """What $select may name: the properties of the type and of the subtypes its collections hold."""
    found = dict(entity_type(name).properties)
    for subtype in FAMILIES.get(name, ()):
        found.update(entity_type(subtype).properties)
    return found


def _model(name: str) -> Any:
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    try:
        return getattr(importlib.import_module(_MODELS + snake), name[:1].upper() + name[1:])
    except (ImportError, AttributeError) as error:
        raise LookupError(f"Microsoft Graph has no type {name!r}") from error


def _read(model: Any, name: str) -> EntityType:
    words = _documentation(model)
    properties = {}
    for wire_name, read in model().get_field_deserializers().items():
        probe = _Probe()
        read(probe)
        properties[wire_name] = _property(wire_name, probe, words.get(wire_name.lower(), ""))
    default = _default(properties)
    for extra in DOCUMENTED_EXTRA.get(name, ()):
        properties[extra] = Property(extra, "string")
    return EntityType(name, properties, default)


def _documentation(model: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if cls.__module__.startswith("msgraph.generated."):
            found.update(_comments(inspect.getfile(cls)))
    return found


@cache
def _comments(path: str) -> dict[str, str]:
    """The comment above each field of a model's file, which holds one class."""
    text = Path(path).read_text(encoding="utf-8")
    return {match["name"].replace("_", ""): match["words"] for match in _FIELD.finditer(text)}


def _property(name: str, probe: _Probe, words: str) -> Property:
    target = probe.target
    many = probe.getter.startswith("get_collection")
    if isinstance(target, type) and issubclass(target, Enum):
        return Property(name, "enum", many, members=frozenset(str(m.value) for m in target), words=words)
    if probe.getter in ("get_object_value", "get_collection_of_object_values"):
        wire = target.__name__[:1].lower() + target.__name__[1:]
        return Property(name, "object", many, wire, navigation=_is_entity(target), words=words)
    kind = _PYTHON_KINDS.get(target.__name__, "string") if target is not None else _GETTERS[probe.getter]
    return Property(name, kind, many, words=words)


def _is_entity(model: Any) -> bool:
    return any(cls.__name__ == "Entity" for cls in model.__mro__)


def _default(properties: dict[str, Property]) -> tuple[str, ...]:
    structural = [p for p in properties.values() if not p.navigation and p.name != "@odata.type"]
    named = [p.name for p in structural if p.by_default]
    if named:
        return ("id", *named)
    return tuple(p.name for p in structural if not p.on_select)
