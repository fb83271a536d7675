"""What goes wrong around a run: readings that are refused, a source that lies, stores that are away, undoings."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest

from jml.events import MOST_BYTES, LeaverEvent, to_message
from jml.people import Cause
from jml.schedule import State
from jml.state import People
from shared.clock import from_text
from shared.errors import Conflict, Denied, Refused, Transient
from shared.ports import Message
from tests.fakes.stage import CANARY, LEFT, QUEUE, Stage, policy_with, world_with

LEAVER, ACCOUNT = "alexw", "soc-4f2a"


async def on_its_way(stage: Stage) -> None:
    stage.hr(LEAVER, employeeLeaveDateTime=LEFT)
    assert await stage.notice() == 1


async def first_delivery(stage: Stage) -> None:
    [first] = stage.messages.due(QUEUE)
    await stage.messages.hand_out(first, stage.services.lifecycle.receive)


# -- readings that are refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "reading"),
    [
        ("appRoleAssignments", "app roles"),
        ("authentication/methods", "methods"),
        ("entitlementManagement/assignments", "packages"),
        ("privilegedAccess/group/eligibilitySchedules", "eligible groups"),
        ("memberOf", "groups"),
    ],
)
async def test_a_reading_that_is_refused_blocks_the_run_and_nothing_that_was_read(
    stage: Stage, path: str, reading: str
) -> None:
    """What cannot be read is named; what can be is cleaned; and nothing is marked that nobody knows to be clean."""
    stage.mssp.faults.add({"method": "GET", "path": path, "status": 403})
    await stage.offboard(LEAVER)
    evidence = await stage.only_run()
    assert evidence["outcome"] == "blocked"
    assert [stay["facts"]["reading"] for stay in evidence["stays"] if stay["kind"] == "unread"] == [reading]
    assert evidence["containment"]["contained"] is True
    assert sum(step["result"] == "verified" for step in evidence["steps"]) > 8
    assert not (stage.user(ACCOUNT).get("onPremisesExtensionAttributes") or {}).get("extensionAttribute15")


async def test_a_removal_whose_reading_is_refused_afterwards_is_not_called_verified() -> None:
    stage = Stage(policy=policy_with(limits={"poll": "PT10M", "wait": "PT1H"}))
    await stage.link(LEAVER, ACCOUNT)
    await on_its_way(stage)
    send = stage.mssp.send

    async def then_refuse(calls: Any, **options: Any) -> Any:
        if any("appRoleAssignments" in call.path and call.method == "DELETE" for call in calls):
            stage.mssp.faults.add({"method": "GET", "path": "appRoleAssignments", "status": 403})
        return await send(calls, **options)

    with patch.object(stage.mssp, "send", then_refuse):
        await stage.work()
    evidence = await stage.only_run()
    assert {s["result"] for s in evidence["steps"] if s["kind"] == "RemoveAppRole"} == {"sent"}
    assert evidence["outcome"] == "blocked"


async def test_a_replica_that_lags_behind_is_waited_for(stage: Stage) -> None:
    """A 404 for what belongs to an account that is there says nothing of what it has."""
    stage.mssp.faults.add({"method": "GET", "path": "ownedObjects", "status": 404, "times": 1})
    await stage.offboard(LEAVER)
    evidence = await stage.only_run()
    assert evidence["outcome"] == "partial"
    left = [row["data"]["kind"] for row in evidence["rows"] if row["kind"] == "left"]
    assert "unread" not in left
    assert "owned object" in left


async def test_a_tenant_without_the_licence_has_nothing_of_the_kind(stage: Stage) -> None:
    error = {"error": {"code": "AadPremiumLicenseRequired", "message": "The tenant needs a licence."}}
    stage.mssp.faults.add({"method": "GET", "path": "eligibilitySchedules", "status": 400, "body": error})
    await stage.offboard(LEAVER)
    evidence = await stage.only_run()
    assert evidence["outcome"] == "partial"
    assert "unread" not in {stay["kind"] for stay in evidence["stays"]}


async def test_a_sign_in_that_is_refused_while_writing_blocks_the_step_and_is_kept(stage: Stage) -> None:
    await on_its_way(stage)
    send = stage.mssp.send

    async def refuse_writes(calls: Any, **options: Any) -> Any:
        if any(call.method in ("PATCH", "DELETE") for call in calls):
            raise Denied("tenant mssp: sign-in was refused", "the app's consent there")
        return await send(calls, **options)

    with patch.object(stage.mssp, "send", refuse_writes):
        await stage.work()
    evidence = await stage.only_run()
    assert evidence["outcome"] == "blocked"
    assert "sign-in was refused" in json.dumps(evidence["steps"])


async def test_the_default_method_is_asked_for_again_when_it_is_the_last(stage: Stage) -> None:
    """Where the others have not gone from every replica yet, Graph refuses the second asking too."""
    stage.mssp.faults.add({"method": "DELETE", "path": "phoneMethods", "status": 400, "times": 2})
    await stage.offboard(LEAVER)
    methods = [step for step in (await stage.only_run())["steps"] if step["kind"] == "RemoveMethod"]
    assert any(step["again"] for step in methods)
    assert stage.held(ACCOUNT) == {}


# -- a source that lies ---------------------------------------------------------------------------------------------


async def test_where_the_canary_is_not_nobody_counts_as_gone(stage: Stage) -> None:
    """Another tenant, or an emptied one: people who are missing there have not left."""
    directory = stage.corporate.tenancy.directory
    for person in [*stage.world.x_scenario["links"], CANARY]:
        directory["users"].remove(stage.person(person))
    stage.clock.advance(1)
    await stage.services.sweep.run()
    assert stage.tables.rows["schedule"] == {}


async def test_somebody_missing_of_whom_nobody_may_know_why_is_no_leaver(stage: Stage) -> None:
    person = stage.person(LEAVER)
    stage.delete(LEAVER)
    stage.corporate.faults.add({"path": "deletedItems", "status": 403})
    await stage.services.sweep.run()
    assert person not in {key for _, key in stage.tables.rows["schedule"]}


async def test_a_linked_date_that_only_the_filter_shows_is_seen(stage: Stage) -> None:
    """By id the date may read as null while the filter finds it: one of the two readings is enough."""
    stage = Stage(policy=policy_with(leaver={"canary": None}))
    await stage.link(LEAVER, ACCOUNT)
    stage.hr(LEAVER, employeeLeaveDateTime=LEFT)
    send = stage.corporate.send

    async def without_dates(calls: Any, **options: Any) -> Any:
        replies = await send(calls, **options)
        for call, reply in zip(calls, replies, strict=True):
            if "getByIds" in call.path:
                for item in reply.body["value"]:
                    item["employeeLeaveDateTime"] = None
        return replies

    with patch.object(stage.corporate, "send", without_dates):
        await stage.services.sweep.run()
    assert (await stage.scheduled(LEAVER)).written == LEFT


# -- the backlog ----------------------------------------------------------------------------------------------------


async def test_a_run_that_was_blocked_before_its_mark_is_taken_up_again(stage: Stage) -> None:
    """Contained is not clean: who mends the permission need not know which runs it blocked."""
    stage.mssp.faults.add({"method": "GET", "path": "appRoleAssignments", "status": 403})
    await stage.offboard(LEAVER)
    assert (await stage.only_run())["outcome"] == "blocked"
    stage.mssp.faults.clear()
    stage.clock.advance(timedelta(minutes=29))
    assert await stage.notice() == 0
    stage.clock.advance(timedelta(minutes=2))
    assert await stage.notice() == 1
    await stage.work()
    assert stage.held(ACCOUNT) == {}
    assert [run.outcome for run in await stage.runs()] == ["blocked", "partial"]


async def test_what_stays_behind_is_raised_ever_less_often(stage: Stage) -> None:
    """A run that somebody has to mend first is tried again without a storm of runs: at most once a day."""
    await on_its_way(stage)
    gaps: list[float] = []
    last = stage.clock.now()
    for _ in range(5 * 24 * 4):
        stage.messages.waiting.clear()
        stage.clock.advance(timedelta(minutes=15))
        if (await stage.services.sweep.run()).backlog:
            await stage.services.release.run()
            gaps.append((stage.clock.now() - last).total_seconds() / 3600)
            last = stage.clock.now()
    assert gaps == sorted(gaps)
    assert gaps[0] < 1
    assert 23 < gaps[-1] < 25


# -- stores and queues that are away --------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [Transient("away", 5), Conflict("another writer was first")])
async def test_records_that_are_away_are_waited_for_by_a_delayed_copy_and_burn_no_delivery(
    stage: Stage, error: Exception
) -> None:
    await on_its_way(stage)
    with patch.object(stage.tables, "insert", side_effect=error):
        await first_delivery(stage)
    copy = stage.messages.sent[-1]
    assert copy.queue == QUEUE
    assert copy.not_before is not None
    assert copy.not_before > stage.clock.now()
    assert len({message.id for message in stage.messages.sent}) == len(stage.messages.sent)
    await stage.work()
    assert stage.held(ACCOUNT) == {}


async def test_where_not_even_a_copy_can_be_sent_the_message_is_delivered_again(stage: Stage) -> None:
    await on_its_way(stage)
    away = Transient("away")
    with (
        patch.object(stage.tables, "insert", side_effect=away),
        patch.object(stage.messages, "send", side_effect=away),
        pytest.raises(Transient),
    ):
        await first_delivery(stage)
    assert len(stage.messages.waiting) == 1


async def test_an_unreadable_message_that_is_too_large_to_keep_is_kept_cut(stage: Stage) -> None:
    send = stage.messages.send

    async def small_only(messages: list[Message]) -> None:
        if any(len(message.body) > MOST_BYTES for message in messages):
            raise Refused("queue rejected: a message is too large")
        await send(messages)

    with patch.object(stage.messages, "send", small_only):
        await stage.services.lifecycle.receive(b"x" * (MOST_BYTES + 5), "huge")
    [kept] = stage.messages.of("rejected")
    assert len(kept.body) == MOST_BYTES
    assert f"cut from {MOST_BYTES + 5} bytes" in kept.properties["reason"]


# -- what others undo, and what comes late --------------------------------------------------------------------------


async def test_an_account_that_somebody_enables_during_the_run_is_disabled_again() -> None:
    world = world_with(lambda data: data["settings"].update(delivery_ms=150_000))
    stage = Stage(world, policy_with(limits={"poll": "PT1M"}))
    await stage.link(LEAVER, ACCOUNT)
    await on_its_way(stage)
    await first_delivery(stage)
    stage.alter(stage.mssp, stage.account(ACCOUNT), accountEnabled=True)
    await stage.work()
    evidence = await stage.only_run()
    assert stage.user(ACCOUNT)["accountEnabled"] is False
    assert evidence["containment"]["contained"] is True
    [disable] = [step for step in evidence["steps"] if step["kind"] == "DisableAccount"]
    assert sum("intendedAt" in one for one in disable["tries"]) == 2


async def test_an_event_of_an_older_revision_that_comes_late_is_superseded(stage: Stage) -> None:
    stage.hr(LEAVER, employeeLeaveDateTime=LEFT)
    await stage.services.sweep.run()
    await stage.revise(LEAVER)
    who = stage.person(LEAVER)
    newer, older = (
        to_message(LeaverEvent(stage.tenant, who, from_text(LEFT), revision, Cause.DATE, LEFT), stage.clock.now())
        for revision in (2, 1)
    )
    for message in (newer, older):
        await stage.services.lifecycle.receive(message.body, message.id)
        await stage.work()
    assert {run.generation: run.outcome for run in await stage.runs()} == {1: "partial", 0: "superseded"}


async def test_once_the_accounts_are_deleted_nobody_is_watched_any_more(stage: Stage) -> None:
    await stage.offboard(LEAVER)
    stage.clock.advance(timedelta(days=31))
    await stage.notice()
    await stage.work()
    link = await People(stage.tables).get(stage.person(LEAVER))
    assert link is not None
    assert link.accounts == frozenset()
    stage.delete(LEAVER)
    stage.clock.advance(timedelta(days=2))
    assert await stage.notice() == 0
    assert {row.values["state"] for row in stage.tables.rows["schedule"].values()} == {State.DONE.value, "scheduled"}


async def test_a_person_who_leaves_a_second_time_is_kept_for_the_whole_retention_anew(stage: Stage) -> None:
    await stage.offboard(LEAVER)
    stage.hr(LEAVER, employeeLeaveDateTime=None)
    await stage.services.sweep.run()
    stage.alter(stage.mssp, stage.account(ACCOUNT), accountEnabled=True)
    stage.clock.advance(timedelta(days=100))
    await stage.offboard(LEAVER, "2026-06-01T00:00:00Z")
    assert stage.user(ACCOUNT)["accountEnabled"] is False
    assert stage.user(ACCOUNT)["onPremisesExtensionAttributes"]["extensionAttribute15"] > "delete-after 2026-07"
