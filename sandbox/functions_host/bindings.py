"""The functions of an app as their bindings describe them, `%SETTING%` names resolved as the host does."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TRIGGERS = ("httpTrigger", "timerTrigger", "serviceBusTrigger")
OUTPUTS = ("http",)
_SETTING = re.compile(r"%([^%]+)%")
_TRUE = ("1", "true")


class UnsupportedFunction(Exception):
    """A function uses what this host does not imitate; the text names function and binding."""


class MissingSetting(Exception):
    """A binding names a setting that is not there."""


@dataclass(frozen=True)
class Function:
    name: str
    id: str
    kind: str
    trigger: Mapping[str, Any]
    disabled: bool = False

    @property
    def argument(self) -> str:
        return str(self.trigger["name"])


def function_from(name: str, identity: str, raw_bindings: Sequence[str]) -> Function:
    bindings = [_resolved(name, json.loads(raw)) for raw in raw_bindings]
    for binding in bindings:
        if binding["type"] not in (*TRIGGERS, *OUTPUTS):
            raise UnsupportedFunction(f"function {name}: binding {binding['type']} is not imitated")
    triggers = [binding for binding in bindings if binding["type"] in TRIGGERS]
    if len(triggers) != 1:
        raise UnsupportedFunction(f"function {name}: expected one trigger, found {len(triggers)}")
    trigger = triggers[0]
    if trigger.get("cardinality", "one").lower() == "many":
        raise UnsupportedFunction(f"function {name}: batches of messages are not imitated")
    disabled = os.environ.get(f"AzureWebJobs.{name}.Disabled", "").lower() in _TRUE
    return Function(name, identity, trigger["type"], trigger, disabled=disabled)


def _resolved(function: str, binding: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _resolve(function, value) for key, value in binding.items()}


def _resolve(function: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value

    def setting(found: re.Match[str]) -> str:
        return required_setting(function, found[1])

    return _SETTING.sub(setting, value)


def required_setting(function: str, name: str) -> str:
    """Settings are looked up without regard to case, as the host does on Windows and Linux alike."""
    for known, value in os.environ.items():
        if known.lower() == name.lower():
            return value
    raise MissingSetting(f"function {function}: the setting {name} is missing")
