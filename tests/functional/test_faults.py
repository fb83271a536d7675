"""Each kind of step and each fault, through the real adapter: the documented outcome, and never a false `verified`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any, get_args

import httpx
import pytest

from jml.outcomes import STEPS, fate
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
    RemoveAppRole,
    RemoveMethod,
    RemoveRoleAssignment,
    RevokeGrant,
    RevokeSessions,
)
from sandbox.graph.batch import LOST
from sandbox.graph.calls import Answer
from sandbox.world import World
from shared.plan import Result
from shared.ports import Reply
from tests.fakes.effects import IS_SO, false_claims
from tests.fakes.loopback import Hits, Loopback, Trouble, over_loopback
from tests.fakes.stage import LEFT, Stage, policy_with, world_with

LEAVER, ACCOUNT = "alexw", "soc-4f2a"

CALLS: dict[type[LeaverStep], tuple[str, str, str]] = {
    DisableAccount: ("PATCH", "^/users/[^/]+$", "accountEnabled"),
    RevokeSessions: ("POST", "/revokeSignInSessions$", ""),
    EndGroupAssignment: ("POST", "/privilegedAccess/group/assignmentScheduleRequests$", ""),
    EndGroupEligibility: ("POST", "/privilegedAccess/group/eligibilityScheduleRequests$", ""),
    EndRoleAssignment: ("POST", "/directory/roleAssignmentScheduleRequests$", ""),
    EndRoleEligibility: ("POST", "/directory/roleEligibilityScheduleRequests$", ""),
    RemoveRoleAssignment: ("DELETE", "/directory/roleAssignments/", ""),
    LeaveGroup: ("DELETE", r"^/groups/[^/]+/members/[^/]+/\$ref$", ""),
    EndPackage: ("POST", "/entitlementManagement/assignmentRequests$", ""),
    RemoveAppRole: ("DELETE", "/appRoleAssignments/", ""),
    RevokeGrant: ("DELETE", "^/oauth2PermissionGrants/", ""),
    RemoveMethod: ("DELETE", "/authentication/", ""),
    MarkAccount: ("PATCH", "^/users/[^/]+$", "onPremisesExtensionAttributes"),
    DeleteAccount: ("DELETE", "^/users/[^/]+$", ""),
}
"""Kind of step → method, path and a property of the body of its call."""


def calls_of(kind: type[LeaverStep]) -> Hits:
    method, path, name = CALLS[kind]
    return lambda own, where, body: own == method and re.search(path, where) is not None and (not name or name in body)


def error(status: int, code: str = "Ordered", headers: Mapping[str, str] | None = None) -> Trouble:
    return Trouble(acts=False, answer=Answer(status, {"error": {"code": code, "message": "No."}}, headers or {}))


UNDONE: dict[str, tuple[Trouble, Reply]] = {
    "429 with Retry-After": (error(429, headers={"Retry-After": "5"}), Reply(429, retry_after=5.0)),
    "429 without Retry-After": (error(429), Reply(429)),
    "503": (error(503), Reply(503)),
    "504": (error(504), Reply(504)),
    "401": (error(401), Reply(401)),
    "403": (error(403), Reply(403)),
    "404": (error(404), Reply(404)),
    "409": (error(409), Reply(409)),
    "400": (error(400), Reply(400)),
    "400, an open request": (error(400, "ExistingOpenRequest"), Reply(400, {"error": {"code": "ExistingOpenRequest"}})),
    "left out of the batch's reply": (Trouble(acts=False, answer=LOST), Reply(0)),
    "connection reset before": (Trouble(acts=False, cuts=httpx.ConnectError), Reply(0)),
    "timeout before": (Trouble(acts=False, cuts=httpx.ReadTimeout), Reply(0)),
    "taken, and nothing done": (Trouble(acts=False, answer=Answer(204)), Reply(204)),
}
"""Faults that keep a step from having its effect, and what the adapter makes of them."""

DONE: dict[str, Trouble] = {
    "connection reset after": Trouble(acts=True, cuts=httpx.ReadError),
    "timeout after": Trouble(acts=True, cuts=httpx.ReadTimeout),
    "done, and left out of the batch's reply": Trouble(acts=True, answer=LOST),
    "malformed JSON": Trouble(acts=True, garbles=b'{"responses": [{"id'),
    "done, and refused": Trouble(acts=True, answer=Answer(403, {"error": {"code": "Ordered", "message": "No."}})),
}
"""Faults that hide that a step had its effect."""


@cache
def one_of_each() -> World:
    """The demo's world, where the leaver's account has one thing of each kind that can be taken, and nothing else."""

    def change(data: dict[str, Any]) -> None:
        mssp = data["tenants"]["mssp"]
        for kind in ("administrative_units", "devices", "access_packages", "app_roles"):
            mssp[kind] = mssp[kind][:1] if kind in ("access_packages", "app_roles") else []
        mssp["groups"] = [
            {**group, "members": [one for one in group.get("members", ()) if one != ACCOUNT], "owners": []}
            for group in mssp["groups"]
        ]
        mssp["groups"][0]["members"].append(ACCOUNT)
        mssp["access_packages"][0]["groups"] = []
        mssp["role_assignments"].append({"principal": ACCOUNT, "role": "Global Reader"})
        mssp["group_eligibilities"] = mssp["group_eligibilities"][:1]
        mssp["authentication_methods"][ACCOUNT] = mssp["authentication_methods"][ACCOUNT][:1]
        data["settings"].update(consistency_ms=0, delivery_ms=0)

    return world_with(change)


async def prepared(wait: str = "PT2M") -> tuple[Stage, Loopback]:
    """Everything is linked and due; one Entra role was assigned outside PIM. Nothing was sent yet."""
    limits = {"poll": "PT1M", "wait": wait}
    stage = Stage(one_of_each(), policy_with(limits=limits))
    loopback = over_loopback(stage, 1.0)
    await stage.link(LEAVER, ACCOUNT)
    directory = stage.mssp.tenancy.directory
    reader = next(row for row in directory["roleDefinitions"].rows.values() if row["displayName"] == "Global Reader")
    for row in list(directory["roleAssignmentSchedules"].rows.values()):
        if row["roleDefinitionId"] == reader["id"]:
            directory["roleAssignmentSchedules"].remove(row["id"])
    stage.hr(LEAVER, employeeLeaveDateTime=LEFT)
    return stage, loopback


async def due(stage: Stage, kind: type[LeaverStep]) -> None:
    """Let the day come of the run that has this kind of step."""
    if kind is DeleteAccount:
        await stage.notice()
        await stage.work()
        stage.clock.advance(timedelta(days=31))
    await stage.notice()


async def last_evidence(stage: Stage) -> dict[str, Any]:
    """Of the newest run; no run of this stage claims what is not so, and no message is left over or dead."""
    runs = await stage.runs()
    for run in runs:
        assert false_claims(await stage.evidence(run.id), stage.mssp.state) == []
    assert (stage.messages.waiting, stage.messages.dead) == ([], [])
    return await stage.evidence(runs[-1].id)


def results(evidence: Mapping[str, Any], kind: type[LeaverStep]) -> set[str]:
    return {step["result"] for step in evidence["steps"] if step["kind"] == kind.__name__}


def test_the_matrix_has_every_kind_of_step() -> None:
    assert set(CALLS) == set(get_args(LeaverStep)) == {type(step) for step in STEPS}
    assert set(IS_SO) == {kind.__name__ for kind in CALLS}


async def test_undisturbed_every_kind_of_step_is_verified() -> None:
    stage, _ = await prepared()
    await due(stage, DeleteAccount)
    await stage.work()
    await last_evidence(stage)
    kinds: set[str] = set()
    for run in await stage.runs():
        evidence = await stage.evidence(run.id)
        assert evidence["outcome"] == "verified"
        kinds |= {step["kind"] for step in evidence["steps"] if step["result"] == "verified"}
    assert kinds == {kind.__name__ for kind in CALLS}


@pytest.mark.parametrize("fault", UNDONE)
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.kind)
async def test_a_fault_that_stays_ends_as_documented(step: LeaverStep, fault: str) -> None:
    kind = type(step)
    trouble, reply = UNDONE[fault]
    documented = fate(step, reply)
    stage, loopback = await prepared()
    await due(stage, kind)
    loopback.order(trouble, calls_of(kind))
    await stage.work()
    evidence = await last_evidence(stage)
    assert results(evidence, kind) == {documented.attempt.result.value}
    assert evidence["outcome"] == documented.outcome.value
    assert evidence["containment"]["contained"] is (kind not in (DisableAccount, RevokeSessions))
    if trouble.cuts is None:
        assert {s["result"] for s in evidence["steps"] if s["kind"] != kind.__name__} == {"verified"}
    if documented.attempt.result is Result.BLOCKED:
        assert documented.attempt.reason.partition("needs ")[2] in evidence["reason"]


@pytest.mark.parametrize("fault", DONE)
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.kind)
async def test_what_was_done_unseen_is_read_back(step: LeaverStep, fault: str) -> None:
    kind = type(step)
    stage, loopback = await prepared()
    await due(stage, kind)
    loopback.order(DONE[fault], calls_of(kind))
    await stage.work()
    evidence = await last_evidence(stage)
    assert results(evidence, kind) == {"verified"}
    assert evidence["outcome"] == "verified"
    requests = stage.mssp.tenancy.directory["accessPackageAssignmentRequests"].rows
    assert len(requests) == 1, "a package is asked for once"


class First:
    """The first call of each kind of step."""

    def __init__(self) -> None:
        self._left = set(CALLS)

    def __call__(self, method: str, path: str, body: Mapping[str, Any]) -> bool:
        kind = next((one for one in self._left if calls_of(one)(method, path, body)), None)
        self._left.discard(kind)
        return kind is not None


PASSING = [
    fault
    for fault, (_, reply) in UNDONE.items()
    if fate(STEPS[0], reply).attempt.result in (Result.WAITING, Result.SENT)
]


@pytest.mark.parametrize("fault", [*PASSING, *DONE])
async def test_a_fault_that_befalls_each_kind_of_step_once_is_got_over(fault: str) -> None:
    stage, loopback = await prepared()
    loopback.order(DONE[fault] if fault in DONE else UNDONE[fault][0], First())
    await due(stage, DeleteAccount)
    await stage.work()
    await last_evidence(stage)
    assert [run.outcome for run in await stage.runs()] == ["verified", "verified"]


@pytest.mark.parametrize("status", [400, 413, 415])
async def test_where_no_batch_is_taken_every_step_goes_alone(status: int) -> None:
    stage, loopback = await prepared()
    await due(stage, LeaveGroup)
    loopback.order(error(status), lambda _, path, __: path == "/$batch")
    await stage.work()
    evidence = await last_evidence(stage)
    assert evidence["outcome"] == "verified"
    assert evidence["slices"] == 1


def lag(stage: Stage, seconds: float) -> None:
    """From now on what is written shows on reads only this much later."""
    for table in stage.mssp.tenancy.directory.tables.values():
        table.delay = seconds


@pytest.mark.parametrize("seconds", [1, 3, 20, 90], ids=lambda seconds: f"{seconds} s")
async def test_an_effect_that_shows_late_is_verified_late(seconds: int) -> None:
    """Within the further looks, after them, and after the step was sent again."""
    stage, _ = await prepared(wait="PT1H")
    lag(stage, seconds)
    await due(stage, DeleteAccount)
    await stage.work()
    await last_evidence(stage)
    assert [run.outcome for run in await stage.runs()] == ["verified", "verified"]


async def test_what_does_not_show_is_not_called_verified() -> None:
    stage, _ = await prepared()
    await due(stage, LeaveGroup)
    lag(stage, 3600)
    await stage.work()
    evidence = await last_evidence(stage)
    assert {step["result"] for step in evidence["steps"]} == {"sent"}
    assert evidence["outcome"] == "failed"
