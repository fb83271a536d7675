"""The sweep: what HR does, as the schedule sees it, and the backlog."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest

from jml.people import Cause
from jml.permissions import GRANTS
from jml.schedule import State
from jml.state import Link, People
from sandbox.graph.calls import Caller
from sandbox.graph.people import soft_delete
from sandbox.world import parse_world
from sandbox.worlds.generate import large
from shared.clock import to_text
from shared.errors import Conflict, Denied, Transient
from tests.fakes.stage import BREAK_GLASS, CANARY, LEFT, Stage, policy_with, world_with

WHO, ACCOUNT = "alexw", "soc-4f2a"
SPRING, SUMMER = "2026-04-01T00:00:00Z", "2026-07-01T00:00:00Z"


async def swept(stage: Stage, person: str = WHO) -> Any:
    """The person's row after a sweep."""
    await stage.services.sweep.run()
    return await stage.scheduled(person)


async def test_a_date_that_is_set_is_scheduled_with_the_zone_it_was_read_in(stage: Stage) -> None:
    stage.hr(WHO, employeeLeaveDateTime=SPRING)
    row = await swept(stage)
    assert (row.state, row.revision, row.cause, row.zone) == (State.SCHEDULED, 1, Cause.DATE, "UTC")
    assert to_text(row.due) == "2026-04-01T00:00:00.000000Z"
    assert row.written == SPRING


async def test_by_the_policys_rule_a_day_ends_at_its_time_on_its_clocks() -> None:
    stage = Stage(policy=policy_with(leaver={"date_only": {"time": "18:00", "zone": "Europe/Zurich"}}))
    await stage.link(WHO, ACCOUNT)
    stage.hr(WHO, employeeLeaveDateTime=SPRING)
    row = await swept(stage)
    assert (to_text(row.due), row.zone) == ("2026-04-01T16:00:00.000000Z", "Europe/Zurich")


@pytest.mark.parametrize("moved", [SPRING, SUMMER], ids=["earlier", "later"])
async def test_a_date_that_is_moved_takes_the_place_of_the_old_one(stage: Stage, moved: str) -> None:
    stage.hr(WHO, employeeLeaveDateTime="2026-05-01T00:00:00Z")
    await swept(stage)
    stage.hr(WHO, employeeLeaveDateTime=moved)
    row = await swept(stage)
    assert (row.revision, row.written) == (2, moved)


async def test_a_sweep_that_finds_nothing_new_changes_nothing(stage: Stage) -> None:
    stage.hr(WHO, employeeLeaveDateTime=SPRING)
    first = await swept(stage)
    report = await stage.services.sweep.run()
    assert (report.changed, report.backlog) == (0, 0)
    assert await stage.scheduled(WHO) == first


async def test_with_a_canary_a_cleared_date_calls_the_offboarding_off(stage: Stage) -> None:
    stage.hr(WHO, employeeLeaveDateTime=SPRING)
    await swept(stage)
    stage.hr(WHO, employeeLeaveDateTime=None)
    row = await swept(stage)
    assert (row.state, row.revision) == (State.CLEARED, 2)


async def test_set_cleared_and_set_again_to_the_same_day_is_sent_once_for_each_setting(stage: Stage) -> None:
    stage.hr(WHO, employeeLeaveDateTime=LEFT)
    assert await stage.notice() == 1
    stage.hr(WHO, employeeLeaveDateTime=None)
    assert await stage.notice() == 0
    stage.hr(WHO, employeeLeaveDateTime=LEFT)
    assert await stage.notice() == 1
    assert (await stage.scheduled(WHO)).revision == 3
    assert len({message.id for message in stage.messages.of("lifecycle")}) == 2
    await stage.work()
    assert stage.user(ACCOUNT)["accountEnabled"] is False


@pytest.mark.parametrize(
    "canary", [None, {"person": CANARY, "leave_date": "2099-01-01T00:00:00Z"}], ids=["no canary", "canary is silent"]
)
async def test_without_a_singing_canary_a_null_date_changes_nothing(canary: Any) -> None:
    """Unknown is not empty: Graph answers null, not 403, where a permission is missing."""
    stage = Stage(policy=policy_with(leaver={"canary": canary}))
    await stage.link(WHO, ACCOUNT)
    stage.hr(WHO, employeeLeaveDateTime=SPRING)
    first = await swept(stage)
    stage.hr(WHO, employeeLeaveDateTime=None)
    assert await swept(stage) == first


async def test_a_lost_permission_to_read_dates_clears_nobody() -> None:
    stage = Stage()
    await stage.link(WHO, ACCOUNT)
    stage.hr(WHO, employeeLeaveDateTime=SPRING)
    first = await swept(stage)
    left = frozenset(GRANTS["corporate"]) - {"User-LifeCycleInfo.Read.All"}
    stage.corporate.caller = Caller(stage.corporate.caller.object_id, left)
    assert await swept(stage) == first


@pytest.mark.parametrize("for_good", [False, True], ids=["soft", "for good"])
async def test_a_linked_person_whom_hr_deletes_is_a_leaver(*, for_good: bool) -> None:
    """Whatever else the policy counts: deletion always ends the account."""
    stage = Stage(policy=policy_with(leaver={"also_when": []}))
    await stage.link(WHO, ACCOUNT)
    person = stage.person(WHO)
    stage.delete(WHO, for_good=for_good)
    row = await swept(stage, person)
    assert row.cause is Cause.DELETED
    assert row.effective <= stage.clock.now() - timedelta(seconds=0 if for_good else 1)
    assert await stage.services.release.run() == 1
    await stage.work()
    assert stage.user(ACCOUNT)["accountEnabled"] is False


@pytest.mark.parametrize(
    ("change", "cause"),
    [({"accountEnabled": False}, Cause.DISABLED), ({"department": "Retail"}, Cause.OUT_OF_SCOPE)],
)
async def test_a_linked_person_who_is_disabled_or_moves_out_of_scope_is_a_leaver(
    stage: Stage, change: dict[str, Any], cause: Cause
) -> None:
    stage.hr(WHO, **change)
    row = await swept(stage)
    assert (row.cause, row.effective) == (cause, stage.clock.now())


async def test_what_the_policy_does_not_name_ends_no_account() -> None:
    stage = Stage(policy=policy_with(leaver={"also_when": []}))
    await stage.link(WHO, ACCOUNT)
    stage.hr(WHO, accountEnabled=False, department="Retail")
    assert await swept(stage) is None


async def test_a_disabled_person_who_comes_back_before_the_event_is_sent_is_called_off(stage: Stage) -> None:
    stage.hr(WHO, accountEnabled=False)
    await swept(stage)
    stage.hr(WHO, accountEnabled=True)
    assert (await swept(stage)).state is State.CLEARED


async def test_a_date_of_any_age_is_found_for_linked_people(stage: Stage) -> None:
    """Lifecycle Workflows forget after three days; the sweep does not."""
    stage.hr(WHO, employeeLeaveDateTime="1999-01-01T00:00:00Z")
    assert (await swept(stage)).written == "1999-01-01T00:00:00Z"
    assert await stage.services.release.run() == 1


@pytest.mark.parametrize("written", ["0001-01-01T00:00:00Z", "1899-12-31T23:59:59Z"])
async def test_an_empty_fields_date_changes_nothing(stage: Stage, written: str) -> None:
    stage.hr(WHO, employeeLeaveDateTime=written)
    assert await swept(stage) is None


async def test_a_date_in_the_last_year_there_is_is_scheduled_and_never_due(stage: Stage) -> None:
    stage.hr(WHO, employeeLeaveDateTime="9999-12-31T23:59:59Z")
    assert (await swept(stage)).state is State.SCHEDULED
    assert await stage.services.release.run() == 0


async def test_an_unlinked_person_in_scope_is_watched_within_the_window(stage: Stage) -> None:
    stage.hr("miriamg", employeeLeaveDateTime=SPRING)
    assert (await swept(stage, "miriamg")).written == SPRING


async def test_an_unlinked_person_out_of_scope_is_nobodys_business(stage: Stage) -> None:
    stage.hr("adelev", employeeLeaveDateTime=SPRING)
    assert await swept(stage, "adelev") is None


# -- what cannot be read --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "error"), [(403, Denied), (503, Transient), (500, Transient)])
async def test_a_source_that_cannot_be_read_changes_nothing(stage: Stage, status: int, error: type[Exception]) -> None:
    stage.hr(WHO, employeeLeaveDateTime=SPRING)
    stage.corporate.faults.add({"method": "POST", "path": "getByIds", "status": status})
    with pytest.raises(error):
        await stage.services.sweep.run()
    assert stage.tables.rows["schedule"] == {}


async def test_a_person_whose_deletion_cannot_be_confirmed_is_no_leaver(stage: Stage) -> None:
    person = stage.person(WHO)
    stage.delete(WHO)
    stage.corporate.faults.add({"path": "deletedItems", "status": 403})
    await stage.services.sweep.run()
    assert await stage.scheduled(person) is None


async def test_a_row_that_another_writer_changed_meanwhile_is_left_to_the_next_sweep(stage: Stage) -> None:
    stage.hr(WHO, employeeLeaveDateTime=SPRING)
    await swept(stage)
    stage.hr(WHO, employeeLeaveDateTime=SUMMER)
    with patch.object(stage.tables, "replace", side_effect=Conflict("another writer was first")):
        assert (await stage.services.sweep.run()).changed == 0
    assert (await swept(stage)).revision == 2


# -- what it costs --------------------------------------------------------------------------------------------------


async def test_three_hundred_linked_people_are_read_in_one_request() -> None:
    """Requests grow with linked people and changes, never with the tenant."""
    stage = Stage(parse_world(large(people=900, linked=300), GRANTS))
    for person, accounts in stage.world.x_scenario["links"].items():
        await People(stage.tables).put(Link(person, frozenset(accounts)))
    await stage.services.sweep.run()
    reads = [call for call in stage.corporate.calls if "getByIds" in call.path]
    assert len(reads) == 1
    assert stage.corporate.requests == 2
    assert stage.mssp.requests == 0


# -- the backlog ----------------------------------------------------------------------------------------------------


async def left_over(stage: Stage, account: str = ACCOUNT) -> Stage:
    """A leaver whose event was sent and whose message came to nothing."""
    stage.hr(WHO, employeeLeaveDateTime=LEFT)
    await stage.notice()
    stage.messages.waiting.clear()
    return stage


async def test_a_leaver_whose_account_still_works_is_taken_up_again(stage: Stage) -> None:
    await left_over(stage)
    stage.clock.advance(timedelta(minutes=31))
    assert (await stage.services.sweep.run()).backlog == 1
    row = await stage.scheduled(WHO)
    assert (row.state, row.revision) == (State.SCHEDULED, 2)
    assert await stage.services.release.run() == 1
    await stage.work()
    assert stage.user(ACCOUNT)["accountEnabled"] is False


async def test_the_backlog_leaves_a_run_its_time(stage: Stage) -> None:
    await left_over(stage)
    stage.clock.advance(timedelta(minutes=29))
    assert (await stage.services.sweep.run()).backlog == 0


async def test_a_contained_leaver_is_no_backlog(stage: Stage) -> None:
    await stage.offboard(WHO)
    stage.clock.advance(timedelta(hours=2))
    assert (await stage.services.sweep.run()).backlog == 0


async def test_an_account_that_is_enabled_again_by_hand_is_backlog(stage: Stage) -> None:
    await stage.offboard(WHO)
    stage.clock.advance(timedelta(hours=2))
    stage.alter(stage.mssp, stage.account(ACCOUNT), accountEnabled=True)
    assert (await stage.services.sweep.run()).backlog == 1


async def test_a_protected_account_is_no_backlog() -> None:
    """Or a run would be begun for it every half hour, for ever."""
    stage = Stage()
    await stage.link(WHO, BREAK_GLASS)
    await left_over(stage, BREAK_GLASS)
    stage.clock.advance(timedelta(hours=2))
    assert (await stage.services.sweep.run()).backlog == 0


async def test_the_backlog_that_cannot_be_read_is_an_error(stage: Stage) -> None:
    await left_over(stage)
    stage.clock.advance(timedelta(hours=1))
    stage.mssp.faults.add({"path": "getByIds", "status": 403})
    with pytest.raises(Denied):
        await stage.services.sweep.run()
    assert (await stage.scheduled(WHO)).revision == 1


async def test_an_account_that_somebody_else_deleted_is_taken_up_once_and_then_done(stage: Stage) -> None:
    await left_over(stage)
    directory = stage.mssp.tenancy.directory
    soft_delete(directory, directory["users"].rows[stage.account(ACCOUNT)])
    stage.clock.advance(timedelta(hours=1))
    assert await stage.notice() == 1
    await stage.work()
    assert (await stage.scheduled(WHO)).state is State.DONE


async def test_a_world_without_leavers_makes_no_offboarding() -> None:
    def quiet(data: dict[str, Any]) -> None:
        for user in data["tenants"]["corporate"]["users"]:
            if user["displayName"] != "Canary Person":
                user.pop("employeeLeaveDateTime", None)

    stage = Stage(world_with(quiet))
    for person, accounts in stage.world.x_scenario["links"].items():
        await stage.link(person, *accounts)
    report = await stage.services.sweep.run()
    assert (report.changed, report.backlog, report.nulls_mean_none) == (0, 0, True)
