"""What each step asks of Graph, and what an answer means for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jml.requests import NEEDS, TOO_YOUNG, judge_reply, request
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
    recall,
)
from shared.plan import Result
from shared.ports import Reply
from shared.replies import TRANSIENT

STEPS: tuple[LeaverStep, ...] = (
    DisableAccount("a"),
    DisableAccount("a", again=True),
    RevokeSessions("a"),
    EndGroupAssignment("a", "g", "owner"),
    EndGroupEligibility("a", "g", "member"),
    EndRoleAssignment("a", "r", "/"),
    EndRoleEligibility("a", "r", "/"),
    RemoveRoleAssignment("a", "ra"),
    LeaveGroup("a", "g"),
    EndPackage("a", "p"),
    RemoveAppRole("a", "ar"),
    RevokeGrant("a", "gr"),
    RemoveMethod("a", "phoneMethods", "m"),
    MarkAccount("a", "extensionAttribute15", "delete-after 2026"),
    DeleteAccount("a"),
)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.key)
def test_every_write_that_must_have_a_body_has_one(step: LeaverStep) -> None:
    """Graph refuses a whole batch in which one POST or PATCH has none."""
    call = request(step)
    assert (call.body is not None) == (call.method in ("POST", "PATCH"))
    assert call.path.startswith("/")


def test_a_group_is_left_by_its_reference_or_graph_would_delete_the_account() -> None:
    assert request(LeaveGroup("a", "g")).path == "/groups/g/members/a/$ref"


@pytest.mark.parametrize("hostile", ["x'y", "x/../y", "x?y=z", "x y", "\N{SNOWMAN}", "x#y", "%2e%2e"])
def test_ids_cannot_leave_their_segment_of_the_path(hostile: str) -> None:
    makes: tuple[Callable[[str], LeaverStep], ...] = (
        lambda i: LeaveGroup(i, i),
        lambda i: RemoveMethod(i, "phoneMethods", i),
        lambda i: RevokeGrant(i, i),
        lambda i: RemoveRoleAssignment(i, i),
        RevokeSessions,
    )
    for make in makes:
        hostile_path, plain_path = (request(make(one)).path for one in (hostile, "plain"))
        assert hostile_path.count("/") == plain_path.count("/")
        assert hostile_path.isascii()
        assert not set(hostile_path) & set(" ?#'")


def test_every_kind_of_step_can_be_recalled_and_has_its_permission() -> None:
    assert {type(step) for step in STEPS} == set(NEEDS)
    for step in STEPS:
        assert recall(step.kind, step.facts()) == step


def test_each_step_has_a_key_of_its_own() -> None:
    assert len({step.key for step in STEPS}) == len(STEPS)


def answered(status: int, code: str = "", retry_after: float = 0.0) -> Reply:
    body = {"error": {"code": code, "message": "Alex Wilber said no"}} if code else {}
    return Reply(status, body, "req-1", retry_after)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.key)
@pytest.mark.parametrize(
    ("reply", "result"),
    [
        *((answered(status), Result.SENT) for status in (200, 201, 204)),
        *((answered(status), Result.WAITING) for status in sorted(TRANSIENT)),
        (answered(401, "InvalidAuthenticationToken"), Result.WAITING),
        (answered(400, TOO_YOUNG), Result.WAITING),
        *((answered(status, "Gone"), Result.SENT) for status in (404, 409)),
        (answered(400, "RoleAssignmentDoesNotExist"), Result.SENT),
        (answered(400, "ExistingOpenRequest"), Result.SENT),
        (answered(403, "Authorization_RequestDenied"), Result.BLOCKED),
        *((answered(status, "Bad"), Result.REFUSED) for status in (400, 405, 412, 413, 415, 422, 424, 501)),
    ],
)
def test_what_an_answer_means(step: LeaverStep, reply: Reply, result: Result) -> None:
    attempt = judge_reply(step, reply)
    assert attempt.result is result
    assert attempt.result is not Result.VERIFIED
    assert "Alex" not in attempt.reason  # Graph's messages carry names


def test_a_403_names_the_permission_that_cures_it() -> None:
    for step in STEPS:
        assert NEEDS[type(step)] in judge_reply(step, answered(403, "Denied")).reason


def test_a_wait_is_as_long_as_the_other_side_asks() -> None:
    assert judge_reply(STEPS[0], answered(429, "TooManyRequests", 17.0)).retry_after == 17.0
    assert judge_reply(EndRoleAssignment("a", "r", "/"), answered(400, TOO_YOUNG)).retry_after == 300.0


def test_only_a_package_request_goes_on_elsewhere_after_its_answer() -> None:
    for step in STEPS:
        reference = judge_reply(step, Reply(201, {"id": "request-1"})).reference
        assert reference == ("request-1" if isinstance(step, EndPackage) else "")
