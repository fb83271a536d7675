"""What becomes of each step for each answer it may get: docs/outcomes.md, by asking the code that decides it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from datetime import UTC, datetime
from typing import get_args

from jml.accounts import Account, Holdings, Snapshot
from jml.leaver import Terms, plan_leaver
from jml.lifecycle import conclude
from jml.people import Cause, Leaving
from jml.policy import LeaverPolicy, Policy, ScopeRule
from jml.requests import MEANINGS, NEEDS, judge_reply
from jml.steps import DisableAccount, LeaverStep, Removal, RemoveMethod, RevokeSessions
from shared.journal import Standing
from shared.plan import Attempt, Result, RunOutcome
from shared.ports import Reply
from shared.replies import LEFT_OUT, REFUSED_WHOLE, TRANSIENT

EXAMPLE = 17.0
"""Seconds of the Retry-After that the page shows."""

STEPS: tuple[LeaverStep, ...] = tuple(
    kind(**{one.name: one.name for one in fields(kind) if one.default is MISSING}) for kind in get_args(LeaverStep)
)
"""One of each kind."""


@dataclass(frozen=True)
class Fate:
    """What becomes of a step after an answer.

    `retried`: within the call, as long as its budget lasts. `attempt`: what the step then counts as. `outcome`: how
    the run ends if nothing better is ever seen. `second`: the step is planned anew once what kept it back is gone.
    """

    retried: bool
    attempt: Attempt
    outcome: RunOutcome
    second: bool


def fate(step: LeaverStep, reply: Reply) -> Fate:
    attempt = judge_reply(step, reply)
    return Fate(reply.status in TRANSIENT, attempt, ends(step, attempt.result), has_second_try(step, attempt.result))


def ends(step: LeaverStep, result: Result) -> RunOutcome:
    """How a run ends in which everything else is verified and this step stays so."""
    contained: list[LeaverStep] = [DisableAccount(step.account), RevokeSessions(step.account)]
    others = [Standing(one, {}, Result.VERIFIED) for one in contained if one != step]
    return conclude([*others, Standing(step, {}, result)], [])


def has_second_try(step: LeaverStep, result: Result) -> bool:
    """Whether the plan asks for it once more where nothing else of the account is left."""
    began = datetime(2026, 1, 1, tzinfo=UTC)
    policy = Policy(version=1, scope=(ScopeRule(department=("any",)),), leaver=LeaverPolicy())
    held = Holdings(frozenset([step]) if isinstance(step, get_args(Removal)) else frozenset())
    account = Account(step.account, enabled=True)
    snapshot = Snapshot(Leaving(Cause.DATE, began), {account.id: account}, holdings={account.id: held})
    plan = plan_leaver(snapshot, {step.key: result}, Terms(began, policy, began, began))
    return any(isinstance(one, DisableAccount | RemoveMethod) and one == _again(step) for one in plan.steps)


def _again(step: LeaverStep) -> LeaverStep | None:
    return replace(step, again=True) if isinstance(step, DisableAccount | RemoveMethod) else None


def answers() -> dict[str, Reply]:
    """Every answer that the table of meanings knows, by the words for it, and one that it does not."""
    statuses = {status for meaning in MEANINGS for status in meaning.statuses}
    codes = {code for meaning in MEANINGS for code in meaning.codes}
    named = {f"`{status}`": Reply(status) for status in sorted(statuses - {0, 429})}
    return {
        "a success": Reply(201, {"id": "request"}),
        "no answer": Reply(0),
        "`429` with `Retry-After`": Reply(429, retry_after=EXAMPLE),
        "`429` without it": Reply(429),
        **named,
        **{f"`{code}`": Reply(400, {"error": {"code": code}}) for code in sorted(codes)},
        "any other": Reply(400),
    }


@dataclass(frozen=True)
class _Line:
    """A line of the page: these answers to these steps have one fate."""

    answers: tuple[str, ...]
    steps: tuple[LeaverStep, ...]
    fate: Fate


def _lines() -> list[_Line]:
    found: list[_Line] = []
    for name, reply in answers().items():
        groups = _grouped((_told(step, fate(step, reply)), step) for step in STEPS)
        for alike, steps in sorted(groups.items(), key=lambda group: len(group[1])):
            at = next((at for at, line in enumerate(found) if (line.fate, line.steps) == (alike, steps)), None)
            if at is None:
                found.append(_Line((name,), steps, alike))
            else:
                found[at] = replace(found[at], answers=(*found[at].answers, name))
    return found


def _told(step: LeaverStep, found: Fate) -> Fate:
    """The fate without what differs from answer to answer: a status, and where it was refused."""
    said = found.attempt
    reason = NEEDS[type(step)] if said.result is Result.BLOCKED else ""
    return replace(found, attempt=replace(said, reason=reason, status=0))


def _grouped(pairs: Iterable[tuple[Fate, LeaverStep]]) -> dict[Fate, tuple[LeaverStep, ...]]:
    groups: dict[Fate, tuple[LeaverStep, ...]] = {}
    for found, step in pairs:
        groups[found] = (*groups.get(found, ()), step)
    return groups


THEN: Mapping[Result, str] = {
    Result.SENT: "looked at again: verified once a reading shows its effect, else sent again in the next slice",
    Result.WAITING: "sent again in the next slice; while containment waits, no clean-up begins",
    Result.REFUSED: "recorded with status, code and request id; everything else goes on",
    Result.BLOCKED: "recorded with what is needed, which the run's reason names too; everything else goes on",
    Result.PROTECTED: "never sent; the account's other steps neither",
    Result.VERIFIED: "read back; what is seen undone later in the run is done again",
}


def _then(found: Fate) -> str:
    said = found.attempt
    words = [said.result.value]
    if said.retry_after:
        words.append(f"{said.retry_after:.0f} s at least")
    if said.reference:
        words.append("never asked for twice: its request is followed")
    if said.reason:
        words.append(f"needs {said.reason}")
    if found.second:
        words.append("planned once more when nothing else keeps it back")
    return "; ".join(words)


def _names(steps: Sequence[LeaverStep]) -> str:
    if len(steps) == len(STEPS):
        return "every step"
    if len(steps) > len(STEPS) / 2:
        return "every other step"
    return ", ".join(f"`{step.kind}`" for step in steps)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _result_rows() -> str:
    return "\n".join(_row(result.value, THEN[result]) for result in Result)


def _answer_rows() -> str:
    return "\n".join(
        _row(
            ", ".join(line.answers),
            _names(line.steps),
            "asked again" if line.fate.retried else "",
            _then(line.fate),
            line.fate.outcome.value,
        )
        for line in _lines()
    )


FOLLOWED = tuple(step for step in STEPS if judge_reply(step, Reply(201, {"id": "request"})).reference)
BESIDE: tuple[tuple[str, Result, tuple[LeaverStep, ...]], ...] = (
    ("its effect shows in a later reading", Result.VERIFIED, STEPS),
    ("its effect does not show within `limits.wait`", Result.SENT, STEPS),
    ("it is not answered, or throttled, for longer than `limits.wait`", Result.WAITING, STEPS),
    ("its request ends denied, canceled or not delivered", Result.REFUSED, FOLLOWED),
    ("the tenant refuses the sign-in", Result.BLOCKED, STEPS),
    ("a guard protects the account", Result.PROTECTED, STEPS),
)
"""What becomes of a step without an answer that says so."""


def _beside_rows() -> str:
    rows: list[str] = []
    for what, result, steps in BESIDE:
        outcomes = {ends(step, result) for step in steps}
        of = "every step" if steps == STEPS else _names(steps)
        rows.append(_row(what, of, result.value, ", ".join(sorted(outcomes))))
    return "\n".join(rows)


def _statuses(some: Iterable[int]) -> str:
    return ", ".join(f"`{status}`" for status in sorted(some))


def markdown() -> str:
    """The page for people: docs/outcomes.md is this text."""
    return f"""# Outcomes

What happens next, for each kind of step and each answer that Graph, or what lies between, may give to it. Made by
`make schemas` from the code that decides it: `MEANINGS` and `judge_reply` (`jml/requests.py`), `plan_leaver`
(`jml/leaver.py`) and `conclude` (`jml/lifecycle.py`). `tests/functional/test_faults.py` holds each line against a run.

No answer verifies a step: only a later reading does. *No answer* is a connection that was refused, lost or timed out,
an answer that cannot be read, and an answer that a batch's reply leaves out; whether the other side acted is not known
then. A call is *asked again* as long as `limits.retry_budget` lasts, after `Retry-After` where it was given and else
with growing, jittered pauses; of a batch, only what is still open. Between slices the run is saved; a delayed message
takes it up after `limits.poll`, or what the other side asked for if that is longer. After `limits.wait` the run ends
with what it has. What did not end `verified` or `partial` is taken up again by the backlog, `leaver.backlog_after`
later at first.

| result | what happens next |
|---|---|
{_result_rows()}

## Answers

| answer | to | within the call | then | if it stays so, the run ends |
|---|---|---|---|---|
{_answer_rows()}

A batch that is refused whole ({_statuses(REFUSED_WHOLE)}) goes out call by call. A step that was left out of a batch
because the one before it was refused (`{LEFT_OUT}`) is sent by itself at once.

## Beside answers

| what becomes of a step | of | result | the run ends, if all else is verified |
|---|---|---|---|
{_beside_rows()}"""
