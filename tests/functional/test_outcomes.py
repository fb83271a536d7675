"""How runs end that do not simply clean an account: left alone, blocked, superseded, waiting, failed, rejected."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest

from jml.events import LeaverEvent, to_message
from jml.identity import person_key
from jml.people import Cause
from jml.permissions import GRANTS
from shared.clock import from_text
from shared.errors import Conflict
from tests.fakes.stage import BREAK_GLASS, LEFT, Stage, policy_with, world_with

LEAVER, ACCOUNT = "alexw", "soc-4f2a"


async def on_its_way(stage: Stage, date: str = LEFT) -> None:
    """HR's date was seen and its event was sent; nobody has worked on it yet."""
    stage.hr(LEAVER, employeeLeaveDateTime=date)
    assert await stage.notice() == 1


def untouched(stage: Stage, account: str = ACCOUNT) -> bool:
    written = [call for call in stage.mssp.calls if call.method != "GET" and "getByIds" not in call.path]
    return not written and stage.user(account).get("accountEnabled") is not False


# -- left alone -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"employeeLeaveDateTime": None}, "does not leave any more"),
        ({"employeeLeaveDateTime": "2026-05-01T00:00:00Z"}, "before 2026-05-01"),
        ({"employeeLeaveDateTime": None, "employeeHireDate": "2026-03-02T00:00:00Z"}, "does not leave any more"),
    ],
    ids=["cleared", "postponed", "rehired"],
)
async def test_somebody_who_does_not_leave_any_more_is_left_alone(
    stage: Stage, change: dict[str, Any], says: str
) -> None:
    """The message is a hint: what the directory says when the run begins decides."""
    await on_its_way(stage)
    stage.hr(LEAVER, **change)
    await stage.work()
    evidence = await stage.only_run()
    assert evidence["outcome"] == "left alone"
    assert says in evidence["reason"]
    assert untouched(stage)


async def test_a_person_who_was_never_linked_is_left_alone() -> None:
    stage = Stage()
    await on_its_way(stage)
    await stage.work()
    assert (await stage.only_run())["outcome"] == "left alone"


async def test_a_run_that_waited_looks_again_whether_the_person_still_leaves() -> None:
    stage = Stage(world_with(lambda d: d["settings"].update(delivery_ms=600_000)), policy_with(limits={"poll": "PT5M"}))
    await stage.link(LEAVER, ACCOUNT)
    await on_its_way(stage)
    [first] = stage.messages.due("lifecycle")
    await stage.messages.hand_out(first, stage.services.lifecycle.receive)
    stage.hr(LEAVER, employeeLeaveDateTime=None)
    await stage.work()
    assert (await stage.only_run())["outcome"] == "left alone"


# -- blocked --------------------------------------------------------------------------------------------------------


async def blocked(stage: Stage) -> str:
    await on_its_way(stage)
    await stage.work()
    evidence = await stage.only_run()
    assert evidence["outcome"] == "blocked", evidence["reason"]
    return str(evidence["reason"])


async def test_an_account_that_only_the_link_table_names_blocks_the_run(stage: Stage) -> None:
    stage.alter(stage.mssp, stage.account(ACCOUNT), employeeId=None)
    reason = await blocked(stage)
    assert stage.account(ACCOUNT) in reason
    assert "employeeId names none" in reason
    assert untouched(stage)


async def test_an_account_that_only_employee_id_names_blocks_the_run(stage: Stage) -> None:
    other = stage.account("soc-e60b")
    stage.alter(stage.mssp, other, employeeId=person_key(stage.tenant, stage.person(LEAVER)))
    assert other in await blocked(stage)
    assert untouched(stage)


async def test_the_key_on_the_account_survives_the_loss_of_the_link_table(stage: Stage) -> None:
    stage.tables.rows["people"].clear()
    await stage.offboard(LEAVER)
    assert stage.user(ACCOUNT)["accountEnabled"] is False


async def test_more_accounts_than_the_policy_allows_block_the_run() -> None:
    stage = Stage(policy=policy_with(limits={"accounts_per_person": 1}))
    await stage.link(LEAVER, ACCOUNT, "soc-e60b")
    assert "the policy limits them to 1" in await blocked(stage)
    assert untouched(stage)


@pytest.mark.parametrize("written", ["0001-01-01T00:00:00Z", "1899-12-31T00:00:00Z"])
async def test_a_date_that_became_unreadable_blocks_the_run(stage: Stage, written: str) -> None:
    await on_its_way(stage)
    stage.hr(LEAVER, employeeLeaveDateTime=written)
    await stage.work()
    evidence = await stage.only_run()
    assert evidence["outcome"] == "blocked"
    assert "is before 1900" in evidence["reason"]
    assert untouched(stage)


@pytest.mark.parametrize(
    "missing",
    [
        "User.EnableDisableAccount.All",
        "User.RevokeSessions.All",
        "AppRoleAssignment.ReadWrite.All",
        "DelegatedPermissionGrant.ReadWrite.All",
        "UserAuthenticationMethod.ReadWrite.All",
        "EntitlementManagement.ReadWrite.All",
    ],
)
async def test_a_missing_permission_blocks_the_run_and_is_named(missing: str) -> None:
    wider = {"User.ReadWrite.All"} if missing.startswith("User.") else set()  # Graph takes it in their place
    left = [name for name in GRANTS["mssp"] if name not in {missing, *wider}]
    without = {"corporate": GRANTS["corporate"], "mssp": left}
    stage = Stage(world_with(lambda data: data["applications"]["jml"].update(grants=without)))
    await stage.link(LEAVER, ACCOUNT)
    await on_its_way(stage)
    await stage.work()
    evidence = await stage.only_run()
    assert evidence["outcome"] == "blocked"
    assert missing in json.dumps(evidence)


async def test_a_tenant_that_refuses_the_sign_in_blocks_the_run(stage: Stage) -> None:
    await on_its_way(stage)
    stage.mssp.signed_out = True
    await stage.work()
    assert "sign-in was refused" in (await stage.only_run())["reason"]


# -- protected ------------------------------------------------------------------------------------------------------


async def test_a_protected_account_is_untouched_and_the_run_says_why() -> None:
    stage = Stage()
    await stage.link(LEAVER, BREAK_GLASS)
    before = stage.user(BREAK_GLASS), stage.groups_of(BREAK_GLASS), stage.held(BREAK_GLASS)
    await on_its_way(stage)
    await stage.work()
    evidence = await stage.only_run()
    assert evidence["outcome"] == "blocked"
    assert {step["result"] for step in evidence["steps"]} == {"protected"}
    assert {step["reason"] for step in evidence["steps"]} == {f"account {BREAK_GLASS} is protected by the policy"}
    assert (stage.user(BREAK_GLASS), stage.groups_of(BREAK_GLASS), stage.held(BREAK_GLASS)) == before
    assert untouched(stage, BREAK_GLASS)


async def test_the_last_global_administrator_is_untouched() -> None:
    stage = Stage(policy=policy_with(protected={"accounts": []}))
    await stage.link(LEAVER, BREAK_GLASS)
    await on_its_way(stage)
    await stage.work()
    assert untouched(stage, BREAK_GLASS)
    assert "last Global Administrator" in json.dumps((await stage.only_run())["steps"])


async def test_a_global_administrator_beside_another_one_is_contained() -> None:
    def promote(data: dict[str, Any]) -> None:
        data["tenants"]["mssp"]["role_assignments"].append({"principal": ACCOUNT, "role": "Global Administrator"})

    stage = Stage(world_with(promote))
    await stage.link(LEAVER, ACCOUNT)
    await stage.offboard(LEAVER)
    assert stage.user(ACCOUNT)["accountEnabled"] is False
    assert stage.held(ACCOUNT) == {}


async def test_a_second_administrator_who_is_disabled_does_not_count() -> None:
    def promote(data: dict[str, Any]) -> None:
        mssp = data["tenants"]["mssp"]
        mssp["role_assignments"].append({"principal": ACCOUNT, "role": "Global Administrator"})
        next(user for user in mssp["users"] if user["displayName"] == "break-glass")["accountEnabled"] = False

    stage = Stage(world_with(promote))
    await stage.link(LEAVER, ACCOUNT)
    await on_its_way(stage)
    await stage.work()
    assert untouched(stage)


async def test_one_protected_account_does_not_shield_the_others_of_its_person() -> None:
    stage = Stage()
    await stage.link(LEAVER, BREAK_GLASS, ACCOUNT)
    await stage.offboard(LEAVER)
    assert stage.user(ACCOUNT)["accountEnabled"] is False
    assert stage.user(BREAK_GLASS).get("accountEnabled") is not False


# -- superseded, redelivered, waiting -------------------------------------------------------------------------------


def event(stage: Stage, revision: int, date: str = LEFT) -> LeaverEvent:
    return LeaverEvent(stage.tenant, stage.person(LEAVER), from_text(date), revision, Cause.DATE, date)


async def test_an_older_run_ends_superseded_once_a_newer_one_has_begun() -> None:
    stage = Stage(world_with(lambda d: d["settings"].update(delivery_ms=600_000)), policy_with(limits={"poll": "PT5M"}))
    await stage.link(LEAVER, ACCOUNT)
    stage.hr(LEAVER, employeeLeaveDateTime=LEFT)
    receive = stage.services.lifecycle.receive
    older, newer = (to_message(event(stage, revision), stage.clock.now()) for revision in (1, 2))
    await stage.services.sweep.run()
    await receive(older.body, older.id)
    await stage.revise(LEAVER)
    await receive(newer.body, newer.id)
    await stage.work()
    first, second = await stage.runs()
    assert (first.outcome, second.outcome) == ("superseded", "partial")
    assert stage.held(ACCOUNT) == {}


async def test_a_message_that_is_delivered_twice_makes_one_run(stage: Stage) -> None:
    await on_its_way(stage)
    await stage.work(times=2)
    evidence = await stage.only_run()
    assert evidence["outcome"] == "partial"
    assert stage.held(ACCOUNT) == {}


async def test_a_redelivery_after_the_end_reads_nothing_and_writes_nothing(stage: Stage) -> None:
    await stage.offboard(LEAVER)
    sent, called, rows = len(stage.messages.sent), len(stage.mssp.calls), deepcopy(dict(stage.tables.rows))
    message = stage.messages.of("lifecycle")[0]
    await stage.services.lifecycle.receive(message.body, message.id)
    assert (len(stage.messages.sent), len(stage.mssp.calls)) == (sent, called)
    assert stage.tables.rows == rows


async def test_a_run_whose_truth_cannot_be_read_now_is_continued_by_a_message_of_a_higher_attempt(
    stage: Stage,
) -> None:
    """A delayed message needs an id of its own, or duplicate detection would swallow it."""
    await on_its_way(stage)
    stage.mssp.faults.add({"method": "GET", "status": 503, "headers": {"Retry-After": "90"}, "times": 5})
    [first] = stage.messages.due("lifecycle")
    await stage.messages.hand_out(first, stage.services.lifecycle.receive)
    [run] = await stage.runs()
    assert (run.state, run.attempt) == ("waiting", 1)
    last = stage.messages.sent[-1]
    assert last.id == f"{run.id}:1"
    assert last.session == stage.person(LEAVER)
    assert last.not_before == stage.clock.now() + timedelta(seconds=90)
    await stage.work()
    assert stage.held(ACCOUNT) == {}


async def test_a_run_that_waits_longer_than_the_policy_allows_fails(stage: Stage) -> None:
    stage = Stage(policy=policy_with(limits={"poll": "PT10M", "wait": "PT1H"}))
    await stage.link(LEAVER, ACCOUNT)
    await on_its_way(stage)
    stage.mssp.faults.add({"method": "GET", "status": 503})
    await stage.work()
    evidence = await stage.only_run()
    assert evidence["outcome"] == "failed"
    assert "waited longer than the policy allows" in evidence["reason"]


async def test_a_slice_that_is_over_is_continued_by_another_message() -> None:
    stage = Stage(policy=policy_with(limits={"slice": "PT0S", "poll": "PT0S"}))
    await stage.link(LEAVER, ACCOUNT)
    await on_its_way(stage)
    [first] = stage.messages.due("lifecycle")
    await stage.messages.hand_out(first, stage.services.lifecycle.receive)
    assert (await stage.runs())[0].attempt == 1


async def test_a_containment_that_is_refused_is_never_called_done(stage: Stage) -> None:
    stage.mssp.faults.add({"method": "POST", "path": "revokeSignInSessions", "status": 400})
    await stage.offboard(LEAVER)
    evidence = await stage.only_run()
    assert evidence["outcome"] == "failed"
    assert evidence["containment"]["contained"] is False


async def test_an_effect_that_never_shows_is_never_called_verified(stage: Stage) -> None:
    """Graph says 204 to the removal of a group and the member is still there: the run fails, it does not complete."""
    stage = Stage(policy=policy_with(limits={"poll": "PT10M", "wait": "PT1H"}))
    await stage.link(LEAVER, ACCOUNT)
    await on_its_way(stage)
    stage.mssp.faults.add({"method": "DELETE", "path": "^/groups/", "status": 204})
    await stage.work()
    evidence = await stage.only_run()
    assert evidence["outcome"] == "failed"
    verified = {s["group"] for s in evidence["steps"] if s["kind"] == "LeaveGroup" and s["result"] == "verified"}
    kept = {group["id"] for group in stage.mssp.state["groups"] if stage.account(ACCOUNT) in group["members"]}
    assert verified & kept == set()
    assert kept - verified


# -- rejected -------------------------------------------------------------------------------------------------------

BAD: dict[str, Callable[[bytes], bytes]] = {
    "no JSON": lambda _: b"\xff\xfe not json",
    "empty": lambda _: b"",
    "too large": lambda body: body + b" " * 70_000,
    "unknown type": lambda body: body.replace(b'"jml.leaver"', b'"jml.hermit"'),
    "another id": lambda body: body.replace(b'"id":"', b'"id":"00000000', 1),
}


@pytest.mark.parametrize("spoil", BAD.values(), ids=BAD.keys())
async def test_a_message_that_cannot_be_read_is_kept_as_it_came_with_the_reason(
    stage: Stage, spoil: Callable[[bytes], bytes]
) -> None:
    body = spoil(to_message(event(stage, 1), stage.clock.now()).body)
    await stage.services.lifecycle.receive(body, "m-1")
    [kept] = stage.messages.of("rejected")
    assert kept.body == body
    assert kept.properties["reason"]
    assert kept.properties["messageId"] == "m-1"
    assert await stage.runs() == []


async def test_a_message_of_another_corporate_tenant_is_rejected(stage: Stage) -> None:
    other = LeaverEvent(stage.world.tenants["fabrikam"].id, stage.person(LEAVER), from_text(LEFT), 1, Cause.DATE)
    message = to_message(other, stage.clock.now())
    await stage.services.lifecycle.receive(message.body, message.id)
    assert "data.tenant" in stage.messages.of("rejected")[0].properties["reason"]


async def test_two_workers_that_begin_runs_of_one_person_do_not_share_a_generation(stage: Stage) -> None:
    """The second to write loses by compare-and-swap; its event comes again a little later."""
    await on_its_way(stage)
    replace, lost = stage.tables.replace, Conflict("another worker was first")
    with patch.object(stage.tables, "replace", side_effect=lost):
        await stage.messages.hand_out(stage.messages.due("lifecycle")[0], stage.services.lifecycle.receive)
    assert await stage.runs() == []
    assert stage.tables.replace == replace
    await stage.work()
    assert (await stage.only_run())["outcome"] == "partial"
