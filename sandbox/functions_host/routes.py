"""Route templates of HTTP triggers (ASP.NET Core's): literals, `{id}`, `{id:guid}`, `{id?}`, `{*rest}`.

Matching is without regard to case; of two routes that match, the one with more literal segments wins; a
method that is not listed is answered 404, as the real host does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

CONSTRAINTS = {
    "int": r"-?\d+",
    "alpha": r"[A-Za-z]+",
    "bool": r"true|false",
    "guid": r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}",
}
DEFAULT_METHODS = ("GET", "POST")
_PARAMETER = re.compile(r"\{(?P<star>\*{0,2})(?P<name>\w+)(?::(?P<constraint>\w+))?(?P<optional>\?)?\}")


class InvalidRoute(Exception):
    """A route template that this host cannot read."""


@dataclass(frozen=True)
class Route:
    function: str
    template: str
    methods: frozenset[str]
    pattern: re.Pattern[str]
    weight: tuple[int, ...]

    def match(self, path: str) -> dict[str, str] | None:
        """The parameters by name; an escaped slash stays escaped, as ASP.NET Core keeps it."""
        found = self.pattern.fullmatch(path.strip("/"))
        if found is None:
            return None
        return {name: _decoded(value) for name, value in found.groupdict().items() if value is not None}


def route(function: str, prefix: str, template: str, methods: Iterable[str] | None) -> Route:
    whole = "/".join(part for part in (prefix.strip("/"), template.strip("/")) if part)
    segments = whole.split("/")
    pattern = "".join(_segment(whole, index, text) for index, text in enumerate(segments))
    allowed = frozenset(method.upper() for method in methods or DEFAULT_METHODS)
    weight = tuple(0 if "{" not in text else 2 if "{*" in text else 1 for text in segments)
    return Route(function, whole, allowed, re.compile(pattern, re.IGNORECASE), weight)


def find(routes: Iterable[Route], method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
    matches = [(one, one.match(path)) for one in routes if method.upper() in one.methods]
    found = [(one, values) for one, values in matches if values is not None]
    return min(found, key=lambda pair: pair[0].weight, default=None)


def _segment(template: str, index: int, text: str) -> str:
    slash = "/" if index else ""
    if "{" not in text:
        return slash + re.escape(text)
    found = _PARAMETER.fullmatch(text)
    if found is None or (found["constraint"] and found["constraint"] not in CONSTRAINTS):
        raise InvalidRoute(f"route {template}: the segment {text} is not imitated by this host")
    if found["star"]:
        return f"(?:{slash}(?P<{found['name']}>.*))?"
    value = f"{slash}(?P<{found['name']}>{CONSTRAINTS.get(found['constraint'] or '', '[^/]+')})"
    return f"(?:{value})?" if found["optional"] else value


def _decoded(value: str) -> str:
    return "%2F".join(unquote(part) for part in re.split("%2F", value, flags=re.IGNORECASE))
