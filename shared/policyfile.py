"""Policy files: YAML in, a validated value out, or every mistake at once with its line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from shared.errors import InvalidConfiguration

M = TypeVar("M", bound=BaseModel)


if TYPE_CHECKING:
    _Parser = yaml.SafeLoader
else:  # libyaml's where PyYAML was built with it, for the policy is read at every cold start
    _Parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class PlainLoader(_Parser):
    """YAML without its surprises: dates and times stay texts (18:00 is no number of minutes), for the model to read."""


PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rsplit(":", 1)[-1] in ("bool", "null", "merge")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
PlainLoader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))


def load_policy(path: Path, model: type[M]) -> M:
    """The policy in `path` as `model`.

    Raises InvalidConfiguration naming the line, the field and the expectation of everything that is wrong.
    """
    subject = f"policy {path}"
    try:
        text = path.read_text(encoding="utf-8")
        marks = [event.start_mark for event in yaml.parse(text, Loader=_Parser) if isinstance(event, yaml.AliasEvent)]
        if aliases := [f"line {mark.line + 1}: an alias stands here: write it out" for mark in marks if mark]:
            raise InvalidConfiguration(subject, aliases)
        tree, repeated, document = _read(text)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(subject, [f"cannot be read: {error}"]) from error
    except yaml.YAMLError as error:
        raise InvalidConfiguration(subject, [f"is no YAML: {error}"]) from None
    try:
        policy = model.model_validate(document)
    except ValidationError as error:
        problems = [
            f"line {_line(tree, one['loc'])}: {_path(one['loc'])}: {one['msg']}{_given(one['input'])}"
            for one in error.errors(include_url=False)
        ]
        raise InvalidConfiguration(subject, repeated + problems) from None  # its text says it all
    if repeated:
        raise InvalidConfiguration(subject, repeated)
    return policy


def _read(text: str) -> tuple[yaml.Node | None, list[str], object]:
    """The tree with its lines, the keys that stand in it twice, and the values: one pass over the text."""
    loader = PlainLoader(text)
    try:
        tree = loader.get_single_node()
        repeated = _repeated_keys(tree)
        return tree, repeated, None if tree is None else loader.construct_document(tree)
    finally:
        loader.dispose()


def _path(location: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in location) or "the whole file"


def _given(value: object) -> str:
    """What stood there, when it is short enough to help."""
    text = repr(value)
    return f" (given: {text})" if not isinstance(value, dict | list) and len(text) <= 60 else ""


def _line(tree: yaml.Node | None, location: Sequence[int | str]) -> int:
    """The line of the deepest part of `location` that stands in the file: a missing field has its parent's."""
    line = 1
    for part in location:
        if isinstance(tree, yaml.SequenceNode) and isinstance(part, int) and part < len(tree.value):
            tree = tree.value[part]
            line = tree.start_mark.line + 1
        elif isinstance(tree, yaml.MappingNode):
            found = [(key, value) for key, value in tree.value if key.value == str(part)]
            if not found:
                return line
            key, tree = found[0]
            line = key.start_mark.line + 1
    return line


def _repeated_keys(tree: yaml.Node | None) -> list[str]:
    """YAML takes a key twice and forgets the first: in a policy that is a mistake."""
    if isinstance(tree, yaml.SequenceNode):
        return [problem for item in tree.value for problem in _repeated_keys(item)]
    if not isinstance(tree, yaml.MappingNode):
        return []
    problems: list[str] = []
    seen: set[str] = set()
    for key, value in tree.value:
        if key.value in seen:
            problems.append(f"line {key.start_mark.line + 1}: {key.value}: stands here a second time")
        seen.add(key.value)
        problems += _repeated_keys(value)
    return problems
