"""Ways round the limits and into dead ends that somebody once found, each closed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from unittest.mock import patch

import pytest

from jml.breaker import Direction
from jml.events import LeaverEvent, to_message
from jml.held import Hold, HoldRows, HoldState
from jml.people import Cause
from jml.schedule import Offboarding, State
from jml.state import Link, People, Schedule, Scheduled
from shared.authorisation import Caller, Forbidden, Role
from shared.clock import from_text
from shared.errors import NotThere, Transient, Undecidable
from shared.ledger import Kind, Ledger
from shared.ports import Row
from shared.problems import STATUSES
from tests.fakes.stage import LEFT, Stage, policy_with

PEOPLE = ("alexw", "meganb", "isaiahl", "lidiah")
WHO, ACCOUNT = "alexw", "soc-4f2a"
APPROVER = Caller("99999999-0000-4000-8000-000000000009", frozenset({Role.APPROVER}))
ANN = Caller("88888888-0000-4000-8000-00000000000a", frozenset({Role.OPERATOR}))
BEN = Caller("88888888-0000-4000-8000-00000000000b", frozenset({Role.OPERATOR}))
ONE_A_DAY = {"count": 1, "share": 1, "window": "P1D"}


async def team(canary: bool = True, **limits: object) -> Stage:
    sections = {"limits": {"poll": "PT2S", "missing": 1, **limits}}
    stage = Stage(policy=policy_with(**sections, **({} if canary else {"leaver": {"canary": None}})))
    for person, accounts in stage.world.x_scenario["links"].items():
        await stage.link(person, *accounts)
    return stage


async def held(stage: Stage, *people: str) -> Hold:
    """These people leave at once, which is too many."""
    for person in people:
        stage.hr(person, employeeLeaveDateTime=LEFT)
    await stage.notice()
    [hold], _ = await HoldRows(stage.tables).page({"state": "open"}, 10, None)
    return hold


async def later(stage: Stage, rounds: int, **time: float) -> None:
    for _ in range(rounds):
        stage.clock.advance(timedelta(**time))
        await stage.notice()
        await stage.work()


def enabled(stage: Stage, person: str) -> bool:
    [account] = stage.world.x_scenario["links"][person]
    return bool(stage.user(account)["accountEnabled"])


def leaves_now(stage: Stage, person: str) -> None:
    stage.hr(person, employeeLeaveDateTime=stage.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"))
    stage.clock.advance(10)


@contextmanager
def out_of_order(stage: Stage, table: str) -> Iterator[None]:
    """Nothing can be added to this table."""
    insert = stage.tables.insert

    async def fails(name: str, rows: Sequence[Row]) -> list[str]:
        if name == table:
            raise Transient("storage is away")
        return await insert(name, rows)

    with patch.object(stage.tables, "insert", fails):
        yield


# -- past the breaker


async def test_a_hold_that_hr_cleared_lets_nobody_past_the_breaker() -> None:
    """The dates are cleared and set again, and somebody writes the events: nobody has released anything."""
    stage = await team(breaker=ONE_A_DAY)
    await held(stage, *PEOPLE)
    for person in PEOPLE:
        stage.hr(person, employeeLeaveDateTime=None)
    await stage.services.sweep.run()
    for person in PEOPLE:
        stage.hr(person, employeeLeaveDateTime=LEFT)
        row = await stage.scheduled(person)
        event = LeaverEvent(stage.tenant, stage.person(person), from_text(LEFT), row.revision, Cause.DATE)
        await stage.messages.send([to_message(event, stage.clock.now())])
    await stage.work()
    assert sum(not enabled(stage, person) for person in PEOPLE) <= 1


async def test_an_acceptance_of_a_shrunken_source_is_good_for_once() -> None:
    stage = await team(missing=0.4)
    for person in PEOPLE[:3]:
        stage.hr(person, department="Sales")
    await stage.services.sweep.run()
    fault = await stage.services.baselines.get()
    assert fault is not None
    await stage.services.baselines.accept(fault.digest, APPROVER)
    assert (await stage.services.sweep.run()).believed
    for person in PEOPLE[:3]:
        stage.hr(person, department="Security Operations")
    await stage.services.sweep.run()
    stage.clock.advance(timedelta(days=30))
    for person in PEOPLE[:3]:
        stage.hr(person, department="Sales")
    assert not (await stage.services.sweep.run()).believed


# -- about oneself


@pytest.mark.parametrize("decide", ["release", "refuse"])
async def test_nobody_decides_about_themselves_though_the_link_table_is_lost(decide: str) -> None:
    stage = await team(breaker=ONE_A_DAY)
    stage.tables.rows["people"].clear()
    hold = await held(stage, WHO, "meganb")
    subject = Caller(stage.account(ACCOUNT), frozenset({Role.APPROVER}))
    with pytest.raises(Forbidden):
        await getattr(stage.services.holds, decide)(hold.id, hold.digest, subject)


async def test_a_plan_of_many_that_was_cut_short_is_completed() -> None:
    """A hundred rows are one transaction: the process dies between two, and the plan still names everybody."""
    stage = await team(breaker=ONE_A_DAY)
    now, rows = stage.clock.now(), []
    for at in range(150):
        person = f"00000000-0000-4000-8000-{at:012d}"
        await People(stage.tables).put(Link(person, frozenset({f"10000000-0000-4000-8000-{at:012d}"})))
        row = Offboarding(person, 1, State.SCHEDULED, now, now, Cause.DATE)
        rows.append(Scheduled(row, await Schedule(stage.tables).put(row, "")))
    insert, cuts = stage.tables.insert, iter([False, True])

    async def cut(table: str, new: Sequence[Row]) -> list[str]:
        if table == "ledger" and next(cuts, False):
            raise Transient("cut")
        return await insert(table, new)

    with patch.object(stage.tables, "insert", cut), pytest.raises(Transient):
        await stage.services.holds.open(rows, Direction.LEAVER, "too many")
    hold = await stage.services.holds.open(rows, Direction.LEAVER, "too many")
    assert len(await stage.services.decisions.plan(hold.id)) == hold.people == 150


# -- decisions and their rows


async def test_a_decision_without_its_ledger_row_has_no_effect() -> None:
    stage = await team(breaker=ONE_A_DAY)
    hold = await held(stage, WHO, "meganb")
    with out_of_order(stage, "ledger"), pytest.raises(Transient):
        await stage.services.holds.release(hold.id, hold.digest, APPROVER)
    await stage.services.release.run()
    await stage.work()
    assert enabled(stage, WHO)
    found = await HoldRows(stage.tables).get(hold.id)
    assert found is not None
    assert found.state is HoldState.OPEN


async def test_whoever_decided_first_has_decided_though_the_hold_could_not_be_written() -> None:
    """The release is in the ledger, what should follow failed; somebody else's refusal a day later changes nothing."""
    stage = await team(breaker=ONE_A_DAY)
    hold = await held(stage, WHO, "meganb")
    with patch.object(stage.tables, "replace", side_effect=Transient("storage is away")), pytest.raises(Transient):
        await stage.services.holds.release(hold.id, hold.digest, APPROVER)
    other = Caller("77777777-0000-4000-8000-000000000007", frozenset({Role.APPROVER}))
    with pytest.raises(Undecidable, match="released already"):
        await stage.services.holds.refuse(hold.id, hold.digest, other)
    found = await HoldRows(stage.tables).get(hold.id)
    assert found is not None
    assert (found.state, found.by) == (HoldState.RELEASED, APPROVER.object_id)


async def test_an_order_is_in_the_name_of_who_gave_it() -> None:
    """Ann's attempt failed half-way; Ben orders the same a day later."""
    stage = await team()
    with out_of_order(stage, "terminations"), pytest.raises(Transient):
        await stage.services.terminations.order(stage.person(WHO), ANN)
    stage.clock.advance(timedelta(days=1))
    given = await stage.services.terminations.order(stage.person(WHO), BEN)
    decided = [row for row in (await Ledger.load(stage.tables, given.question)).rows if row.kind == Kind.DECIDED]
    assert [row.data["by"] for row in decided] == [BEN.object_id]


async def test_an_order_is_anchored_though_it_is_never_revoked() -> None:
    stage = await team()
    given = await stage.services.terminations.order(stage.person(WHO), ANN)
    await stage.work()
    await stage.services.proof.write()
    assert await stage.services.proof.anchor_of(await Ledger.load(stage.tables, given.question)) is not None


# -- deletion without retention


async def test_an_account_that_was_given_back_is_kept_its_whole_retention_again_without_a_canary() -> None:
    """A null date says nothing there, so the row of the first leaving stays; its mark must not delete the account."""
    stage = await team(canary=False)
    await stage.offboard(WHO)
    account = stage.account(ACCOUNT)
    await later(stage, 1, days=10)
    stage.hr(WHO, employeeLeaveDateTime=None)
    stage.alter(stage.mssp, account, accountEnabled=True)
    await later(stage, 60, days=1)
    leaves_now(stage, WHO)
    await stage.notice()
    await stage.work()
    await later(stage, 4, days=1)
    assert account in {user["id"] for user in stage.mssp.state["users"]}
    assert not enabled(stage, WHO)


async def test_an_event_that_names_an_older_day_does_not_shorten_the_retention() -> None:
    stage = await team()
    await stage.offboard(WHO)
    account = stage.account(ACCOUNT)
    stage.hr(WHO, employeeLeaveDateTime=None)
    await stage.services.sweep.run()
    stage.clock.advance(timedelta(days=60))
    stage.alter(stage.mssp, account, accountEnabled=True)
    leaves_now(stage, WHO)
    event = LeaverEvent(stage.tenant, stage.person(WHO), from_text("2000-01-01T00:00:00Z"), 2, Cause.DATE)
    await stage.messages.send([to_message(event, stage.clock.now())])
    await stage.work()
    assert not enabled(stage, WHO)
    assert account in {user["id"] for user in stage.mssp.state["users"]}


# -- dead ends


async def test_a_made_up_revision_keeps_no_later_event_out() -> None:
    stage = await team()
    event = LeaverEvent(stage.tenant, stage.person(WHO), from_text(LEFT), 2**31 - 1, Cause.DATE)
    await stage.messages.send([to_message(event, stage.clock.now())])
    await stage.work()
    await stage.offboard(WHO)
    assert not enabled(stage, WHO)


async def test_a_lost_schedule_keeps_no_later_event_out() -> None:
    stage = await team()
    for _ in range(3):
        stage.hr(WHO, employeeLeaveDateTime="2026-04-01T00:00:00Z")
        await stage.services.sweep.run()
        stage.hr(WHO, employeeLeaveDateTime=None)
        await stage.services.sweep.run()
    await stage.offboard(WHO)
    stage.tables.rows["schedule"].clear()
    stage.alter(stage.mssp, stage.account(ACCOUNT), accountEnabled=True)
    await later(stage, 2, hours=1)
    assert not enabled(stage, WHO)


async def test_somebody_who_was_cleaned_up_and_given_back_is_contained_at_once_by_an_order() -> None:
    stage = await team()
    await stage.offboard(WHO)
    stage.alter(stage.mssp, stage.account(ACCOUNT), accountEnabled=True)
    await stage.services.terminations.order(stage.person(WHO), ANN)
    await stage.work()
    assert not enabled(stage, WHO)


async def test_an_order_given_again_begins_again_what_ended_too_early() -> None:
    stage = await team()
    stage.mssp.faults.add({"method": "PATCH", "status": 403})
    await stage.services.terminations.order(stage.person(WHO), ANN)
    await stage.work()
    stage.mssp.faults.clear()
    await stage.services.terminations.order(stage.person(WHO), ANN)
    await stage.work()
    assert not enabled(stage, WHO)


async def test_orders_are_taken_up_again_while_the_source_is_not_believed() -> None:
    stage = await team(missing=0.2)
    stage.mssp.faults.add({"method": "PATCH", "status": 403})
    await stage.services.terminations.order(stage.person(WHO), ANN)
    await stage.work()
    stage.mssp.faults.clear()
    for person in PEOPLE[1:]:
        stage.hr(person, department="Sales")
    await later(stage, 8, hours=3)
    assert not enabled(stage, WHO)
    assert all(enabled(stage, person) for person in PEOPLE[1:])


async def test_who_was_found_by_their_key_alone_is_linked_and_taken_up_again() -> None:
    stage = await team()
    stage.tables.rows["people"].clear()
    stage.mssp.faults.add({"method": "PATCH", "status": 403})
    await stage.offboard(WHO)
    assert enabled(stage, WHO)
    link = await People(stage.tables).get(stage.person(WHO))
    assert link is not None
    assert link.accounts == {stage.account(ACCOUNT)}
    stage.mssp.faults.clear()
    await later(stage, 8, hours=3)
    assert not enabled(stage, WHO)


async def test_who_is_held_by_a_hold_that_is_lost_is_judged_anew() -> None:
    stage = await team(breaker=ONE_A_DAY)
    await held(stage, WHO, "meganb")
    stage.tables.rows["holds"].clear()
    stage.hr("meganb", employeeLeaveDateTime=None)
    await later(stage, 2, minutes=1)
    assert not enabled(stage, WHO)


async def test_a_hold_that_is_only_being_made_does_not_end_as_empty() -> None:
    stage = await team(breaker=ONE_A_DAY)
    for person in (WHO, "meganb"):
        stage.hr(person, employeeLeaveDateTime=LEFT)
    await stage.services.sweep.run()
    rows = [one async for one in Schedule(stage.tables).pending() if one.offboarding.effective <= stage.clock.now()]
    try_put = Schedule.try_put

    async def meanwhile(schedule: Schedule, row: Offboarding, version: str) -> bool:
        await stage.services.holds.settle()
        return await try_put(schedule, row, version)

    with patch.object(Schedule, "try_put", meanwhile):
        hold = await stage.services.holds.open(rows, Direction.LEAVER, "too many")
    found = await HoldRows(stage.tables).get(hold.id)
    assert found is not None
    assert found.state is HoldState.OPEN


async def test_a_row_that_was_written_before_there_were_holds_is_read() -> None:
    stage = await team()
    stage.hr(WHO, employeeLeaveDateTime="2026-04-01T00:00:00Z")
    await stage.services.sweep.run()
    for key, row in list(stage.tables.rows["schedule"].items()):
        values = {name: value for name, value in row.values.items() if name != "hold"}
        stage.tables.rows["schedule"][key] = Row(row.partition, row.key, values, row.version)
    assert (await stage.scheduled(WHO)).hold == ""


# -- doors


async def test_a_refusal_of_the_other_side_is_a_problem_document() -> None:
    stage = await team(breaker=ONE_A_DAY)
    hold = await held(stage, WHO, "meganb")
    stage.corporate.faults.add({"method": "POST", "path": "getByIds", "status": 400})
    with pytest.raises(tuple(STATUSES)):
        await stage.services.holds.release(hold.id, hold.digest, APPROVER)


@pytest.mark.parametrize("name", ["../../ledger", "a/b", "?", "\ud800", ""])
async def test_what_is_no_id_is_not_there(name: str) -> None:
    stage = await team()
    for decision in (stage.services.holds.release, stage.services.holds.refuse):
        with pytest.raises(NotThere):
            await decision(name, "0" * 64, APPROVER)
    with pytest.raises(NotThere):
        await stage.services.terminations.revoke(name, ANN)
