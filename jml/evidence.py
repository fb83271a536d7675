"""What an auditor gets of a run: made from its ledger rows alone, so that it can be made again and compared. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.checkpoints import UNANCHORED, NoCheckpoint, Signed, from_document, head_of
from shared.clock import from_text
from shared.ledger import Kind, faults
from shared.plan import Result

Rows = Sequence[Mapping[str, Any]]
CONTAINMENT = ("DisableAccount", "RevokeSessions")


def evidence(rows: Rows, anchor: Signed | None = None) -> dict[str, Any]:
    """The document of a run: trigger, steps with before and after, what stays, times against the objective, chain.

    `rows` are the ledger's, as documents; times are UTC, durations in seconds. `anchor`: the checkpoint that holds it.
    """
    opened = _first(rows, Kind.OPENED)
    closed = _first(rows, Kind.CLOSED)
    steps = _steps(rows)
    return {
        "run": rows[0]["run"] if rows else "",
        "outcome": closed.get("outcome", "open"),
        "reason": closed.get("reason", ""),
        "trigger": dict(opened),
        "openedAt": rows[0]["at"] if rows else "",
        "closedAt": rows[-1]["at"] if closed else "",
        "containment": _containment(steps, opened),
        "steps": steps,
        "stays": _stays(rows),
        "slices": 1 + sum(row["kind"] == Kind.RESUMED for row in rows),
        "chain": {"rows": len(rows), "head": rows[-1]["hash"] if rows else "", "anchor": _anchor(anchor)},
        "rows": [dict(row) for row in rows],
    }


def _anchor(signed: Signed | None) -> str | dict[str, Any]:
    """The whole checkpoint, so that who has its public key needs nothing else."""
    if signed is None:
        return UNANCHORED
    one = signed.checkpoint
    named = {"number": one.number, "at": one.at, "hash": one.hash, "key": one.key.id}
    return {**named, **signed.document()}


def anchor_in(document: Mapping[str, Any]) -> Signed | None:
    """The checkpoint that an evidence document carries; None when it says that it is unanchored.

    Raises NoCheckpoint.
    """
    chain = document.get("chain")
    anchor = chain.get("anchor") if isinstance(chain, Mapping) else None
    if anchor == UNANCHORED:
        return None
    if not isinstance(anchor, Mapping):
        raise NoCheckpoint(f"{UNANCHORED!r} or an object was expected")
    return from_document({name: anchor[name] for name in ("checkpoint", "signature") if name in anchor})


def _first(rows: Rows, kind: Kind) -> Mapping[str, Any]:
    empty: dict[str, Any] = {}
    return next((row["data"] for row in rows if row["kind"] == kind), empty)


def _stays(rows: Rows) -> list[dict[str, Any]]:
    """The findings that were not resolved later."""
    stays: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["kind"] == Kind.LEFT:
            stays[row["step"]] = {"key": row["step"], **row["data"]}
        elif row["kind"] == Kind.RESOLVED:
            stays.pop(row["step"], None)
    return list(stays.values())


def _steps(rows: Rows) -> list[dict[str, Any]]:
    """Each planned step with everything the ledger says of it."""
    steps: dict[str, dict[str, Any]] = {}
    for row in rows:
        key, data, at = row["step"], row["data"], row["at"]
        match row["kind"]:
            case Kind.PLANNED:
                facts = {"kind": data["kind"], **data["facts"]}
                steps[key] = {**facts, "before": data["before"], "result": "planned", "plannedAt": at, "tries": []}
            case Kind.INTENT:
                steps[key]["result"] = Result.WAITING
                steps[key]["tries"].append({"intendedAt": at})
            case Kind.ATTEMPTED:
                steps[key]["result"] = data["result"]
                steps[key]["tries"].append({"answeredAt": at, **data})
            case Kind.PROTECTED:
                steps[key] |= {"result": data["result"], "reason": data["reason"]}
            case Kind.VERIFIED:
                steps[key] |= {"result": Result.VERIFIED, "after": data["after"], "verifiedAt": at}
            case Kind.REOPENED:
                steps[key] |= {"result": Result.WAITING, "after": data["after"]}
                steps[key].pop("verifiedAt", None)
            case _:
                pass
    return list(steps.values())


def _containment(steps: Sequence[Mapping[str, Any]], opened: Mapping[str, Any]) -> dict[str, Any]:
    """When everything that contains was read back, and how long that took from the leave date and from the opening."""
    needed = [step for step in steps if step["kind"] in CONTAINMENT and not step.get("again")]
    verified = [str(step["verifiedAt"]) for step in needed if "verifiedAt" in step]
    done = bool(needed) and len(verified) == len(needed)
    result: dict[str, Any] = {
        "needed": len(needed),
        "contained": done,
        "objectiveSeconds": opened.get("objectiveSeconds"),
    }
    if done and "effective" in opened:
        seconds = (from_text(max(verified)) - from_text(opened["effective"])).total_seconds()
        result |= {"containedAt": max(verified), "secondsFromDue": seconds}
        result["objectiveMet"] = seconds <= opened["objectiveSeconds"]
    return result


def problems(document: Mapping[str, Any]) -> list[str]:
    """Everything that shows that an evidence document is not what the run wrote: empty when nothing does.

    The chain is checked, and the summary is made again from its rows and compared.
    """
    rows = document.get("rows")
    anchor: Signed | None = None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return ["rows: a list of ledger rows was expected"]
    found = faults(rows)
    try:
        anchor = anchor_in(document)
    except NoCheckpoint as error:
        found.append(f"chain: anchor: {error}")
    head = head_of(rows)
    if anchor is not None and (head is None or not anchor.holds(head)):
        found.append(f"chain: checkpoint {anchor.checkpoint.number} does not hold this run with these rows")
    try:
        again = evidence(rows, anchor)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return [*found, f"the rows cannot be read as a run: {error!r}"]
    if found:
        return found
    differ = [name for name in again.keys() | document.keys() if again.get(name) != document.get(name)]
    return [f"{name}: is not what the rows say" for name in sorted(differ)]
