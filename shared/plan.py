"""What a run works with: steps in phases, what stays, and what came of each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar


class Step(Protocol):
    """One effect on one object, named from its content: the same step has the same key in every process."""

    @property
    def key(self) -> str: ...

    @property
    def kind(self) -> str: ...

    def facts(self) -> Mapping[str, Any]:
        """The ids that the step is made of, enough to make it again."""
        ...


S = TypeVar("S", bound=Step)
Chain = tuple[S, ...]
"""Steps that must be sent in this order; a refusal of one never keeps the next from being tried."""


@dataclass(frozen=True)
class Phase(Generic[S]):
    """Chains that do not depend on each other. `waits`: nothing of it starts while earlier phases are unsettled."""

    name: str
    chains: tuple[Chain[S], ...]
    waits: bool = False

    @property
    def steps(self) -> tuple[S, ...]:
        return tuple(step for chain in self.chains for step in chain)


@dataclass(frozen=True)
class Finding:
    """Something that the run sees and leaves, with the reason a person can act on."""

    key: str
    kind: str
    reason: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan(Generic[S]):
    """What the snapshot calls for. `complete`: the snapshot was deep enough to plan everything."""

    phases: tuple[Phase[S], ...]
    findings: tuple[Finding, ...] = ()
    complete: bool = True

    @property
    def steps(self) -> tuple[S, ...]:
        return tuple(step for phase in self.phases for step in phase.steps)


class Result(StrEnum):
    """What came of a step so far."""

    SENT = "sent"  # taken by the other side: what it did is read back later
    WAITING = "waiting"  # not answered, or throttled past the budget: sent again in the next slice
    REFUSED = "refused"  # the other side says no, and would again
    BLOCKED = "blocked"  # a permission, a role or a person is missing, named in the reason
    PROTECTED = "protected"  # a guard kept it from being sent
    VERIFIED = "verified"  # read back


FINAL = frozenset({Result.REFUSED, Result.BLOCKED, Result.PROTECTED, Result.VERIFIED})
"""Results that a run does not try to improve: the step is settled."""


@dataclass(frozen=True)
class Attempt:
    """What the other side said to a step. `reference` names what goes on there after the answer, to be asked for."""

    result: Result
    reason: str = ""
    request_id: str = ""
    status: int = 0
    retry_after: float = 0.0
    reference: str = ""


@dataclass(frozen=True)
class Observation:
    """The state of a step's target in a snapshot, and whether the step has taken effect (None: not read)."""

    done: bool | None
    state: Mapping[str, Any]
    gave_up: str = ""
    """Why the other side will not finish what it took, when it says so."""


class RunOutcome(StrEnum):
    """How a run ends. Never a blanket completed: `verified` means that all of it was read back."""

    VERIFIED = "verified"
    PARTIAL = "partial"
    BLOCKED = "blocked"
    HELD = "held"
    FAILED = "failed"
    LEFT_ALONE = "left alone"
    SUPERSEDED = "superseded"


def keys(steps: Sequence[Step]) -> set[str]:
    return {step.key for step in steps}
