"""A run over the demo's world, from HR's entry to the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import pytest

from jml.schedule import State
from shared.ports import Call, Reply, Row
from tests.fakes.stage import Stage, policy_with, world_with

LEAVER, ACCOUNT = "alexw", "soc-4f2a"
STAYS = {"All SOC Accounts", "Badge Holders", "SOC Alerts", "Crown Jewels"}
"""Groups that no application can take a member from: dynamic, synced, mail-enabled, in a restricted unit."""


def writes(stage: Stage) -> list[tuple[str, str]]:
    """What was written in the MSSP tenant, in order: method and path."""
    written = [call for call in stage.mssp.calls if call.method != "GET" and "getByIds" not in call.path]
    return [(call.method, call.path.partition("?")[0]) for call in written]


def slow_delivery() -> Stage:
    """Packages end two and a half minutes after they are asked to."""
    world = world_with(lambda data: data["settings"].update(delivery_ms=150_000))
    return Stage(world, policy_with(limits={"poll": "PT1M"}))


async def linked(stage: Stage) -> Stage:
    await stage.link(LEAVER, ACCOUNT)
    return stage


async def test_the_account_of_a_leaver_is_contained_cleaned_and_marked(stage: Stage) -> None:
    before = stage.user(ACCOUNT)
    await stage.offboard(LEAVER)
    after = stage.user(ACCOUNT)
    assert after["accountEnabled"] is False
    assert after["signInSessionsValidFromDateTime"] > str(before.get("signInSessionsValidFromDateTime") or "")
    assert after["onPremisesExtensionAttributes"]["extensionAttribute15"].startswith("delete-after 2026-04-01")
    assert stage.groups_of(ACCOUNT) == STAYS
    assert stage.held(ACCOUNT) == {}


async def test_nobody_elses_account_is_touched(stage: Stage) -> None:
    others = ["soc-91c7", "soc-b03d", "soc-c5e8", "soc-27af", "soc-e60b", "break-glass"]

    def seen() -> list[Any]:
        return [(stage.user(one), stage.groups_of(one), stage.held(one)) for one in others]

    before = seen()
    await stage.offboard(LEAVER)
    assert seen() == before


async def test_a_run_that_leaves_something_is_partial_and_says_what_and_why(stage: Stage) -> None:
    await stage.offboard(LEAVER)
    evidence = await stage.only_run()
    assert evidence["outcome"] == "partial"
    assert {stay["kind"] for stay in evidence["stays"]} == {
        "dynamic group",
        "synced group",
        "mail-enabled group",
        "restricted group",
        "owned object",
        "registered device",
    }
    assert all(stay["reason"] for stay in evidence["stays"])


async def test_a_run_that_leaves_nothing_is_verified(stage: Stage) -> None:
    await stage.offboard("isaiahl")
    evidence = await stage.only_run()
    assert [s["kind"] for s in evidence["stays"]] == ["dynamic group"]  # the demo's rule takes everybody
    assert all(step["result"] == "verified" for step in evidence["steps"])


async def test_the_account_is_disabled_then_its_sessions_are_revoked_before_anything_else(stage: Stage) -> None:
    await stage.offboard(LEAVER)
    user = f"/users/{stage.account(ACCOUNT)}"
    assert writes(stage)[:2] == [("PATCH", user), ("POST", f"{user}/revokeSignInSessions")]


async def test_no_removal_is_begun_before_containment_was_answered(stage: Stage) -> None:
    await stage.offboard(LEAVER)
    kinds = [(row["kind"], row["step"].partition(":")[0]) for row in (await stage.only_run())["rows"]]
    contain = ("DisableAccount", "RevokeSessions")
    removals = [at for at, (kind, step) in enumerate(kinds) if kind in ("planned", "intent") and step not in contain]
    assert max(kinds.index(("attempted", step)) for step in contain) < min(removals)


async def test_the_mark_is_written_last_of_all(stage: Stage) -> None:
    await stage.offboard(LEAVER)
    assert writes(stage)[-1] == ("PATCH", f"/users/{stage.account(ACCOUNT)}")
    assert [method for method, _ in writes(stage)].count("PATCH") == 2


async def test_no_write_leaves_before_its_intent_is_in_the_ledger(stage: Stage) -> None:
    """A crash can hide an outcome, never an effect."""
    send = stage.mssp.send

    async def checked(calls: Sequence[Call], **options: Any) -> list[Reply]:
        if any(call.method != "GET" for call in calls):
            intended = {row.values["step"] for row in _ledger(stage, "intent")}
            answered = {row.values["step"] for row in _ledger(stage, "attempted")}
            assert len(intended - answered) >= len(calls)
        return await send(calls, **options)

    with patch.object(stage.mssp, "send", checked):
        await stage.offboard(LEAVER)
    assert len(_ledger(stage, "intent")) == len((await stage.only_run())["steps"])


def _ledger(stage: Stage, kind: str) -> list[Row]:
    return [row for row in stage.tables.rows["ledger"].values() if row.values["kind"] == kind]


async def test_the_ledger_is_one_unbroken_closed_chain(stage: Stage) -> None:
    await stage.offboard(LEAVER)
    rows = (await stage.only_run())["rows"]
    assert [row["seq"] for row in rows] == list(range(len(rows)))
    assert all(later["prev"] == earlier["hash"] for earlier, later in pairwise(rows))
    assert rows[-1]["kind"] == "closed"


async def test_evidence_tells_the_leave_date_and_the_time_to_containment(stage: Stage) -> None:
    await stage.offboard(LEAVER, "2026-03-02T09:45:00+01:00")
    evidence = await stage.only_run()
    assert evidence["trigger"]["effective"] == "2026-03-02T08:45:00.000000Z"
    assert evidence["trigger"]["written"] == "2026-03-02T08:45:00Z"  # as Graph gives it back
    assert evidence["containment"]["contained"] is True
    assert evidence["containment"]["secondsFromDue"] < 3600
    assert evidence["containment"]["objectiveMet"] is True


async def test_an_objective_that_was_missed_is_called_missed(stage: Stage) -> None:
    await stage.offboard(LEAVER, "2026-03-01T08:45:00Z")
    assert (await stage.only_run())["containment"]["objectiveMet"] is False


async def test_a_package_is_polled_to_its_end_by_delayed_messages() -> None:
    """The session's lock is never held for waiting: the run is saved and a delayed message takes it up again."""
    stage = await linked(
        Stage(
            world_with(lambda data: data["settings"].update(delivery_ms=150_000)), policy_with(limits={"poll": "PT1M"})
        )
    )
    await stage.offboard(LEAVER)
    evidence = await stage.only_run()
    assert evidence["slices"] >= 3
    assert [row["data"]["reason"] for row in evidence["rows"] if row["kind"] == "waiting"]
    assert stage.held(ACCOUNT) == {}
    ids = [message.id.rpartition(":")[2] for message in stage.messages.of("lifecycle")]
    assert ids == [str(at) for at in range(len(ids))]
    assert sum(path.endswith("assignmentRequests") for _, path in writes(stage)) == 2


async def test_the_account_is_not_marked_while_a_package_still_waits() -> None:
    stage = await linked(
        Stage(
            world_with(lambda data: data["settings"].update(delivery_ms=150_000)), policy_with(limits={"poll": "PT1M"})
        )
    )
    stage.hr(LEAVER, employeeLeaveDateTime="2026-03-02T08:45:00Z")
    await stage.notice()
    [first] = stage.messages.due("lifecycle")
    await stage.messages.hand_out(first, stage.services.lifecycle.receive)
    assert stage.user(ACCOUNT)["accountEnabled"] is False
    assert not (stage.user(ACCOUNT).get("onPremisesExtensionAttributes") or {}).get("extensionAttribute15")


async def test_the_account_is_deleted_by_a_later_run_once_its_retention_is_over(stage: Stage) -> None:
    account = stage.account(ACCOUNT)
    await stage.offboard(LEAVER)
    assert (await stage.scheduled(LEAVER)).state is State.RETAINED
    stage.clock.advance(timedelta(days=29))
    assert await stage.notice() == 0
    stage.clock.advance(timedelta(days=2))
    assert await stage.notice() == 1
    await stage.work()
    assert account in {user["id"] for user in stage.mssp.state["deletedUsers"]}
    assert (await stage.scheduled(LEAVER)).state is State.DONE
    assert [run.outcome for run in await stage.runs()] == ["partial", "verified"]


async def test_a_retained_account_is_kept_when_its_person_comes_back(stage: Stage) -> None:
    """A rehired person's account is not deleted, however old its mark."""
    await stage.offboard(LEAVER)
    stage.hr(LEAVER, employeeLeaveDateTime=None)
    stage.clock.advance(timedelta(days=40))
    assert await stage.notice() == 0
    assert stage.user(ACCOUNT)["id"]


async def test_all_accounts_of_a_person_are_contained_and_cleaned() -> None:
    stage = Stage()
    await stage.link(LEAVER, ACCOUNT, "soc-e60b")
    await stage.offboard(LEAVER)
    for account in (ACCOUNT, "soc-e60b"):
        assert stage.user(account)["accountEnabled"] is False
        assert stage.held(account) == {}


async def test_guests_in_customer_tenants_are_reported_as_residual_access() -> None:
    probe = Stage()
    fabrikam = probe.world.tenants["fabrikam"].id
    stage = await linked(Stage(policy=policy_with(residual_access={"customer_tenants": [fabrikam]})))
    await stage.offboard(LEAVER)
    [guest] = [stay for stay in (await stage.only_run())["stays"] if stay["kind"] == "guest"]
    assert guest["facts"]["tenant"] == fabrikam


async def test_a_customer_tenant_that_cannot_be_read_is_named_and_stops_nothing() -> None:
    probe = Stage()
    fabrikam = probe.world.tenants["fabrikam"].id
    stage = await linked(Stage(policy=policy_with(residual_access={"customer_tenants": [fabrikam]})))
    stage.graphs["fabrikam"].signed_out = True
    await stage.offboard(LEAVER)
    [unknown] = [stay for stay in (await stage.only_run())["stays"] if stay["kind"] == "guest unknown"]
    assert "sign-in was refused" in unknown["reason"]
    assert stage.held(ACCOUNT) == {}


async def test_a_privileged_account_is_disabled_once_its_roles_are_gone() -> None:
    """Without the directory role Entra refuses to disable a holder of roles: the roles go, then it is tried again."""
    stage = await linked(Stage(world_with(lambda data: data["applications"]["jml"].update(directory_roles={}))))
    await stage.offboard(LEAVER)
    evidence = await stage.only_run()
    tries = [step for step in evidence["steps"] if step["kind"] == "DisableAccount"]
    assert [step["again"] for step in tries] == [False, True]
    assert tries[0]["tries"][1]["result"] == "blocked"
    assert stage.user(ACCOUNT)["accountEnabled"] is False
    assert all(step["result"] == "verified" for step in tries)


async def test_sessions_are_revoked_even_where_disabling_is_refused() -> None:
    stage = await linked(Stage())
    stage.mssp.faults.add({"method": "PATCH", "path": r"^/users/[^/]+$", "status": 403})
    before = str(stage.user(ACCOUNT).get("signInSessionsValidFromDateTime") or "")
    await stage.offboard(LEAVER)
    assert stage.user(ACCOUNT)["signInSessionsValidFromDateTime"] > before
    evidence = await stage.only_run()
    assert evidence["outcome"] == "blocked"
    assert evidence["containment"]["contained"] is False


async def test_one_removal_that_is_refused_keeps_no_other_from_being_tried(stage: Stage) -> None:
    stage.mssp.faults.add({"method": "DELETE", "path": "members", "status": 400, "times": 1})
    await stage.offboard(LEAVER)
    evidence = await stage.only_run()
    assert evidence["outcome"] == "partial"
    assert sum(step["result"] == "refused" for step in evidence["steps"]) == 1
    assert stage.held(ACCOUNT) == {}
    assert len(stage.groups_of(ACCOUNT)) == len(STAYS) + 1


@pytest.mark.parametrize("kind", ["before", "after"])
async def test_a_write_whose_answer_is_lost_is_settled_by_what_is_read(stage: Stage, kind: str) -> None:
    stage.mssp.faults.add({"method": "DELETE", "reset_connection": kind, "times": 3})
    await stage.offboard(LEAVER)
    assert stage.held(ACCOUNT) == {}
    assert stage.groups_of(ACCOUNT) == STAYS
    assert all(step["result"] == "verified" for step in (await stage.only_run())["steps"])


async def test_a_mark_that_was_not_answered_is_written_by_a_later_slice(stage: Stage) -> None:
    """What waits for everything before it does not wait for itself."""
    send, busy = stage.mssp.send, [Reply(503)]

    async def marks_late(calls: Sequence[Call], **options: Any) -> list[Reply]:
        if busy and any("onPremisesExtensionAttributes" in (call.body or {}) for call in calls):
            return [busy.pop()]
        return await send(calls, **options)

    with patch.object(stage.mssp, "send", marks_late):
        await stage.offboard(LEAVER)
    assert not busy
    assert stage.user(ACCOUNT)["onPremisesExtensionAttributes"]["extensionAttribute15"]


async def test_a_reading_that_fails_plans_no_removal(stage: Stage) -> None:
    """Unknown is not empty: nothing is called clean, and nothing removed, on half a reading."""
    stage.mssp.faults.add({"method": "GET", "path": "appRoleAssignments", "status": 500, "times": 1})
    await stage.offboard(LEAVER)
    rows = (await stage.only_run())["rows"]
    waited = next(at for at, row in enumerate(rows) if row["kind"] == "waiting")
    planned = {row["data"]["kind"] for row in rows[:waited] if row["kind"] == "planned"}
    assert planned == {"DisableAccount", "RevokeSessions"}
    assert stage.held(ACCOUNT) == {}
