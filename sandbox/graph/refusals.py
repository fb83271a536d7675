"""Everything that the sandbox's Graph refuses: the rows of the three tables, by name and by operation."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sandbox.errors import GraphRefusal
from sandbox.graph.refusal import Refusal
from sandbox.graph.refusals_directory import DIRECTORY
from sandbox.graph.refusals_governance import GOVERNANCE
from sandbox.graph.refusals_protocol import PROTOCOL

if TYPE_CHECKING:
    from sandbox.graph.calls import Call

REFUSALS: tuple[Refusal, ...] = (*PROTOCOL, *DIRECTORY, *GOVERNANCE)
BY_NAME: dict[str, Refusal] = {row.name: row for row in REFUSALS}

_GUARDS: defaultdict[str, list[Refusal]] = defaultdict(list)
for _row in REFUSALS:
    for _key in _row.on:
        _GUARDS[_key].append(_row)


def refuse(name: str, /, **words: object) -> GraphRefusal:
    """The refusal of that name, to be raised."""
    row = BY_NAME[name]
    return GraphRefusal(row.status, row.code, row.message.format(**words))


def guard(key: str, call: Call) -> None:
    """Raise the first refusal that holds for an operation."""
    for row in _GUARDS[key]:
        if row.when is not None and row.when(call):
            raise GraphRefusal(row.status, row.code, row.message.format(**call.params))
