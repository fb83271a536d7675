"""The leaver's plan: contain, remove, mark, delete. Pure: a function of the snapshot, the policy and the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, assert_never

from jml.accounts import Account, Snapshot
from jml.holdings import shown_by
from jml.leavedate import add
from jml.policy import Policy
from jml.steps import (
    DeleteAccount,
    DisableAccount,
    EndGroupAssignment,
    EndGroupEligibility,
    EndPackage,
    EndRoleAssignment,
    EndRoleEligibility,
    LeaveGroup,
    LeaverStep,
    MarkAccount,
    Removal,
    RemoveAppRole,
    RemoveMethod,
    RemoveRoleAssignment,
    RevokeGrant,
    RevokeSessions,
)
from shared.clock import from_text, to_text
from shared.plan import FINAL, Chain, Finding, Observation, Phase, Plan, Result

MARK = "delete-after"


@dataclass(frozen=True)
class Terms:
    """What a run goes by: when it began, since when the person leaves, the policy, and the time of planning."""

    opened_at: datetime
    policy: Policy
    now: datetime
    left_at: datetime


def plan_leaver(snapshot: Snapshot, results: Mapping[str, Result], terms: Terms) -> Plan[LeaverStep]:
    """What is still to be done, in order. An account that is gone needs nothing.

    While anything of an account cannot be read it is neither marked nor deleted: nobody knows that it is clean.
    """
    accounts = sorted(snapshot.accounts.values(), key=lambda account: account.id)
    holdings = [snapshot.holdings[account.id] for account in accounts if account.id in snapshot.holdings]
    contain = [_contain(account, snapshot, results, terms) for account in accounts]
    found: list[Removal] = [step for held in holdings for step in held.removals]
    removals: list[LeaverStep] = sorted([*found, *_second_tries(found, results)], key=lambda step: step.key)
    marks: list[LeaverStep] = [step for account in accounts if (step := _mark(account, terms, results))]
    deletions: list[LeaverStep] = [DeleteAccount(a.id) for a in accounts if _over(a, terms, results)]
    phases: tuple[Phase[LeaverStep], ...] = (
        Phase("contain", tuple(chain for chain in contain if chain)),
        Phase("remove", tuple((step,) for step in removals)),
        Phase("mark", tuple((step,) for step in marks), waits=True),
        Phase("delete", tuple((step,) for step in deletions), waits=True),
    )
    findings: list[Finding] = [finding for held in holdings for finding in held.stays]
    if not snapshot.deep:
        return Plan(phases[:1], complete=False)
    if any(held.unread for held in holdings):
        return Plan(phases[:2], tuple(findings), complete=False)
    return Plan(phases, tuple(findings))


def _contain(account: Account, snapshot: Snapshot, results: Mapping[str, Result], terms: Terms) -> Chain[LeaverStep]:
    """Disable, then revoke; and disable again once the privileges are gone for which Entra refused it."""
    steps: list[LeaverStep] = []
    if account.enabled:
        first = DisableAccount(account.id)
        steps.append(first)
        held = snapshot.holdings.get(account.id)
        refused = results.get(first.key) in FINAL - {Result.VERIFIED, Result.PROTECTED}
        if refused and held is not None and not held.privileged:
            steps.append(DisableAccount(account.id, again=True))
    if not _revoked_since(account, terms.opened_at):
        steps.append(RevokeSessions(account.id))
    return tuple(steps)


def _second_tries(found: Sequence[Removal], results: Mapping[str, Result]) -> list[Removal]:
    """Graph refuses to take the default authentication method while others are left: it is asked again for the last."""
    methods = [step for step in found if isinstance(step, RemoveMethod)]
    alone = [step for step in methods if [other.account for other in methods].count(step.account) == 1]
    return [replace(step, again=True) for step in alone if results.get(step.key) is Result.REFUSED]


def _revoked_since(account: Account, opened_at: datetime) -> bool:
    return account.sessions_valid_from is not None and account.sessions_valid_from >= opened_at


def kept_until(account: Account, terms: Terms, results: Mapping[str, Result]) -> datetime | None:
    """Until when the account is kept, as it says itself; None when it says nothing, or too little.

    A mark counts only if it leaves this leaving its whole retention: one of an earlier leaving, before a person came
    back, does not; nor does one that was there while the account could still sign in.
    """
    since = terms.opened_at if DisableAccount(account.id).key in results else terms.left_at
    retention = terms.policy.leaver.retention
    label, _, text = account.marks.get(retention.mark, "").partition(" ")
    try:
        until = from_text(text) if label == MARK else None
    except ValueError:
        return None
    return until if until is not None and until >= add(since, retention.period) else None


def _mark(account: Account, terms: Terms, results: Mapping[str, Result]) -> MarkAccount | None:
    if kept_until(account, terms, results) is not None:
        return None
    retention = terms.policy.leaver.retention
    return MarkAccount(account.id, retention.mark, f"{MARK} {to_text(add(terms.opened_at, retention.period))}")


def _over(account: Account, terms: Terms, results: Mapping[str, Result]) -> bool:
    """Whether its time was over when this run began: the run that marks an account never deletes it."""
    until = kept_until(account, terms, results)
    return until is not None and until < terms.opened_at


def observe(step: LeaverStep, before: Mapping[str, Any], snapshot: Snapshot) -> Observation:
    """The state of the step's target, and whether the step has taken effect. `before`: its state when planned."""
    account = snapshot.accounts.get(step.account)
    if account is None:
        return Observation(done=True, state={"account": "gone"})
    match step:
        case DisableAccount():
            return Observation(done=not account.enabled, state={"accountEnabled": account.enabled})
        case RevokeSessions():
            since = to_text(account.sessions_valid_from) if account.sessions_valid_from else ""
            moved = bool(before) and since > str(before.get("signInSessionsValidFrom", ""))
            return Observation(done=moved, state={"signInSessionsValidFrom": since})
        case MarkAccount():
            mark = account.marks.get(step.attribute, "")
            kept = mark.startswith(MARK) and mark >= step.until
            return Observation(done=kept, state={step.attribute: mark})
        case DeleteAccount():
            return Observation(done=False, state={"account": "present"})
        case (
            EndGroupAssignment()
            | EndGroupEligibility()
            | EndRoleAssignment()
            | EndRoleEligibility()
            | RemoveRoleAssignment()
            | LeaveGroup()
            | EndPackage()
            | RemoveAppRole()
            | RevokeGrant()
            | RemoveMethod()
        ):
            return _observe_removal(step, snapshot)
        case _:
            assert_never(step)


def _observe_removal(step: Removal, snapshot: Snapshot) -> Observation:
    held = snapshot.holdings.get(step.account)
    if held is None:
        return Observation(done=None, state={})
    if held.unread & shown_by(step):
        return Observation(done=None, state={})
    target = replace(step, again=False) if isinstance(step, RemoveMethod) else step
    present = target in held.removals
    return Observation(done=not present, state={"present": present}, gave_up=snapshot.given_up.get(step.key, ""))


def protect(step: LeaverStep, snapshot: Snapshot, policy: Policy) -> str | None:
    """Why this step must not be sent: its account is one that no run touches."""
    if step.account in policy.protected_accounts:
        return f"account {step.account} is protected by the policy"
    if step.account in snapshot.administrators.last:
        return f"account {step.account} is the last Global Administrator that can sign in"
    return None
