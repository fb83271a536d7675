"""$filter: text → syntax tree → a test over a row.

The grammar is the part of OData that Graph documents for these collections: eq, ne, gt, ge, lt, le, in, and, or,
not, startsWith, endsWith, parentheses, nested paths, and string, number, date, GUID, true, false and null literals.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeAlias

from sandbox.graph.refusals import refuse

COMPARISONS = ("eq", "ne", "gt", "ge", "lt", "le")
FUNCTIONS = ("startswith", "endswith")
_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')"
    r"|(?P<datetime>\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?(?![\w-]))"
    r"|(?P<guid>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![\w-]))"
    r"|(?P<number>-?\d+(?:\.\d+)?(?![\w-]))"
    r"|(?P<word>[A-Za-z_][\w.]*(?:/[A-Za-z_$][\w.]*)*)"
    r"|(?P<mark>[(),]))"
)
Row: TypeAlias = dict[str, Any]
Test: TypeAlias = Callable[[Row], bool]


@dataclass(frozen=True)
class Literal:
    kind: str
    value: Any


@dataclass(frozen=True)
class Compare:
    path: tuple[str, ...]
    operator: str
    literals: tuple[Literal, ...]


@dataclass(frozen=True)
class Not:
    part: Node


@dataclass(frozen=True)
class Join:
    word: str
    parts: tuple[Node, ...]


Node: TypeAlias = Compare | Not | Join


class _Parser:
    """Recursive descent: or ← and ← not ← (parentheses | function | comparison)."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = self._tokens(text)
        self.at = 0

    def parse(self) -> Node:
        node = self._joined("or")
        if self.at != len(self.tokens):
            self._fail()
        return node

    def _tokens(self, text: str) -> list[tuple[str, str]]:
        found, position = [], 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                raise refuse("filter-syntax", position=position, filter=text)
            found.append((str(match.lastgroup), match[str(match.lastgroup)]))
            position = match.end()
        return found

    def _fail(self) -> NoReturn:
        raise refuse("filter-syntax", position=self.at, filter=self.text)

    def _peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def _next(self, *kinds: str) -> str:
        if self.at >= len(self.tokens) or self.tokens[self.at][0] not in kinds:
            self._fail()
        self.at += 1
        return self.tokens[self.at - 1][1]

    def _mark(self, mark: str) -> None:
        if self._next("mark") != mark:
            self._fail()

    def _joined(self, word: str) -> Node:
        parts = [self._part(word)]
        while self._peek().lower() == word:
            self.at += 1
            parts.append(self._part(word))
        return parts[0] if len(parts) == 1 else Join(word, tuple(parts))

    def _part(self, word: str) -> Node:
        return self._joined("and") if word == "or" else self._negated()

    def _negated(self) -> Node:
        if self._peek().lower() == "not":
            self.at += 1
            return Not(self._negated())
        if self._peek() == "(":
            self.at += 1
            inner = self._joined("or")
            self._mark(")")
            return inner
        return self._term()

    def _term(self) -> Node:
        word = self._next("word")
        if word.lower() in FUNCTIONS:
            self._mark("(")
            path = self._next("word")
            self._mark(",")
            literal = self._literal()
            self._mark(")")
            return Compare(tuple(path.split("/")), word.lower(), (literal,))
        operator = self._next("word").lower()
        path_parts = tuple(word.split("/"))
        if operator == "in":
            return Compare(path_parts, "in", self._list())
        if operator not in COMPARISONS:
            self._fail()
        return Compare(path_parts, operator, (self._literal(),))

    def _list(self) -> tuple[Literal, ...]:
        self._mark("(")
        literals = [self._literal()]
        while self._peek() == ",":
            self.at += 1
            literals.append(self._literal())
        self._mark(")")
        return tuple(literals)

    def _literal(self) -> Literal:
        text = self._next("string", "datetime", "guid", "number", "word")
        kind = self.tokens[self.at - 1][0]
        if kind == "string":
            return Literal("string", text[1:-1].replace("''", "'"))
        if kind == "word":
            constants = {"true": Literal("boolean", True), "false": Literal("boolean", False)}  # noqa: FBT003
            if text.lower() not in (*constants, "null"):
                self._fail()
            return constants.get(text.lower(), Literal("null", None))
        if kind == "datetime":
            return Literal("datetime", instant(text))
        return Literal(kind, float(text) if kind == "number" else text)


def parse(text: str) -> Node:
    """The tree of a $filter; refused as Graph refuses what it cannot read."""
    return _Parser(text).parse()


def comparisons(node: Node) -> list[Compare]:
    """Every comparison of the tree, in the order written."""
    match node:
        case Compare():
            return [node]
        case Not(part):
            return comparisons(part)
        case Join(_, parts):
            return [one for part in parts for one in comparisons(part)]


def negates(node: Node) -> bool:
    """Whether `not` occurs, which directory objects take only as advanced queries."""
    match node:
        case Compare():
            return False
        case Not():
            return True
        case Join(_, parts):
            return any(negates(part) for part in parts)


def widest(node: Node) -> int:
    """The most alternatives that one `in` or one run of `or` has."""
    match node:
        case Compare():
            return len(node.literals)
        case Not(part):
            return widest(part)
        case Join(word, parts):
            inner = max(widest(part) for part in parts)
            return max(inner, len(parts)) if word == "or" else inner


def instant(text: str) -> datetime | None:
    """The instant that a date or date-time literal or property names."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def compiled(node: Node, hidden: frozenset[str] = frozenset()) -> Test:
    """The tree as one test over a row; `hidden` properties read as null, as for a caller who may not read them."""
    match node:
        case Compare():
            return _comparison(node, hidden)
        case Not(part):
            inner = compiled(part, hidden)
            return lambda row: not inner(row)
        case Join(word, parts):
            tests = [compiled(part, hidden) for part in parts]
            if word == "and":
                return lambda row: all(test(row) for test in tests)
            return lambda row: any(test(row) for test in tests)


def _comparison(node: Compare, hidden: frozenset[str]) -> Test:
    head, *rest = node.path
    if head in hidden:
        constant = _holds(node.operator, None, node.literals)
        return lambda _: constant
    if node.operator == "eq" and not rest and node.literals[0].kind == "string":
        wanted = str(node.literals[0].value).casefold()
        return lambda row: _folded_equals(row.get(head), wanted)

    def test(row: Row) -> bool:
        value: Any = row.get(head)
        for name in rest:
            value = value.get(name) if isinstance(value, dict) else None
        return _holds(node.operator, value, node.literals)

    return test


def _folded_equals(value: Any, wanted: str) -> bool:
    if isinstance(value, list):
        return any(_folded_equals(one, wanted) for one in value)
    return isinstance(value, str) and value.casefold() == wanted


def _holds(operator: str, value: Any, literals: tuple[Literal, ...]) -> bool:
    if isinstance(value, list):
        return any(_holds(operator, one, literals) for one in value)
    if operator == "in":
        return any(_equal(value, literal) for literal in literals)
    literal = literals[0]
    if operator in ("eq", "ne"):
        return _equal(value, literal) is (operator == "eq")
    if value is None or literal.value is None:
        return False
    left, right = _ordered(value, literal)
    return _ORDER[operator](left, right)


def _equal(value: Any, literal: Literal) -> bool:
    if value is None or literal.value is None:
        return value is None and literal.value is None
    left, right = _ordered(value, literal)
    return bool(left == right)


def _ordered(value: Any, literal: Literal) -> tuple[Any, Any]:
    """Both sides in one comparable form: instants as instants, text without regard to case (as Entra compares)."""
    if literal.kind == "datetime":
        return instant(str(value)) or datetime.min.replace(tzinfo=UTC), literal.value
    if isinstance(value, str):
        return value.casefold(), str(literal.value).casefold()
    return value, literal.value


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda left, right: bool(left > right),
    "ge": lambda left, right: bool(left >= right),
    "lt": lambda left, right: bool(left < right),
    "le": lambda left, right: bool(left <= right),
    "startswith": lambda left, right: str(left).startswith(str(right)),
    "endswith": lambda left, right: str(left).endswith(str(right)),
}
