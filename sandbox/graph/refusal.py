"""One refusal, as a row of the tables beside this file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.graph.calls import Call


@dataclass(frozen=True)
class Refusal:
    """`message` may have {words} that the raiser fills in, or the path's segments for a guard.

    A row with `when` guards the operations in `on`: they are refused while its predicate holds. A row without is
    raised by name from the layer that notices. `source`: a section of the project's API facts ("facts"), or a page
    of learn.microsoft.com/graph ("learn"); "common" is what Graph is commonly seen to answer, not documented.
    """

    name: str
    status: int
    code: str
    message: str
    source: str
    on: tuple[str, ...] = ()
    when: Callable[[Call], bool] | None = None
