"""A source that shrinks at once is a fault: nothing changes until it is whole again, or somebody accepts it."""

from __future__ import annotations

import pytest

from jml.baseline import document
from shared.authorisation import Caller, Role
from shared.errors import NotThere, Undecidable
from shared.ledger import Kind, Ledger
from tests.fakes.stage import LEFT, Stage, policy_with

PEOPLE = ("meganb", "isaiahl", "lidiah", "alexw")
APPROVER = Caller("99999999-0000-4000-8000-000000000009", frozenset({Role.APPROVER}))


@pytest.fixture
async def team() -> Stage:
    """Five linked people; two of them may be gone at once."""
    limits = {"poll": "PT2S", "breaker": {"count": 200, "share": 1}, "missing": 0.4}
    stage = Stage(policy=policy_with(limits=limits))
    for person, accounts in stage.world.x_scenario["links"].items():
        await stage.link(person, *accounts)
    return stage


async def rows(stage: Stage) -> list[str]:
    """Who has a row; the fifth has a date far away all the time."""
    return [person for person in PEOPLE if await stage.scheduled(person) is not None]


async def test_most_people_out_of_scope_at_once_change_nothing(team: Stage) -> None:
    for person in PEOPLE[:3]:
        team.hr(person, department="Sales")
    team.hr("alexw", employeeLeaveDateTime=LEFT)
    seen = await team.services.sweep.run()
    assert seen.believed is False
    assert await rows(team) == []
    assert document(await team.services.baselines.get())["state"] == "fault"


async def test_most_people_gone_for_good_change_nothing(team: Stage) -> None:
    for person in PEOPLE[:3]:
        team.delete(person, for_good=True)
    await team.notice()
    assert await rows(team) == []
    assert team.messages.sent == []


async def test_an_empty_reply_changes_nothing(team: Stage) -> None:
    """Not even the canary is there: nobody counts as gone, and the fault is said."""
    empty: dict[str, list[str]] = {"value": []}
    team.corporate.faults.add({"method": "POST", "path": "getByIds", "status": 200, "body": empty})
    missing = {"error": {"code": "Request_ResourceNotFound", "message": ""}}
    team.corporate.faults.add({"method": "GET", "path": "deletedItems", "status": 404, "body": missing})
    seen = await team.services.sweep.run()
    assert seen.believed is False
    assert await rows(team) == []


async def test_a_few_are_ordinary_leavers(team: Stage) -> None:
    for person in PEOPLE[:2]:
        team.hr(person, department="Sales")
    assert (await team.services.sweep.run()).believed
    assert await rows(team) == list(PEOPLE[:2])


async def test_one_is_never_a_fault_however_small_the_tenant(team: Stage) -> None:
    stage = Stage(policy=policy_with(limits={"missing": 0.01}))
    await stage.link("alexw", "soc-4f2a")
    stage.delete("alexw")
    assert (await stage.services.sweep.run()).believed


async def test_a_source_that_is_whole_again_is_believed_again(team: Stage) -> None:
    for person in PEOPLE[:3]:
        team.hr(person, department="Sales")
    await team.services.sweep.run()
    for person in PEOPLE[:3]:
        team.hr(person, department="Security Operations")
    assert (await team.services.sweep.run()).believed
    assert document(await team.services.baselines.get()) == {"state": "good"}
    assert await rows(team) == []


async def test_what_is_accepted_is_believed_with_the_deciders_id_in_the_ledger(team: Stage) -> None:
    for person in PEOPLE[:3]:
        team.hr(person, department="Sales")
    await team.services.sweep.run()
    fault = await team.services.baselines.get()
    assert fault is not None
    await team.services.baselines.accept(fault.digest, APPROVER)
    assert (await team.services.sweep.run()).believed
    assert await rows(team) == list(PEOPLE[:3])
    decided = [row for row in (await Ledger.load(team.tables, fault.question)).rows if row.kind == Kind.DECIDED]
    assert [(row.data["decision"], row.data["by"]) for row in decided] == [("accepted", APPROVER.object_id)]


async def test_what_was_accepted_are_these_people_and_no_others(team: Stage) -> None:
    for person in PEOPLE[:3]:
        team.hr(person, department="Sales")
    await team.services.sweep.run()
    fault = await team.services.baselines.get()
    assert fault is not None
    await team.services.baselines.accept(fault.digest, APPROVER)
    team.hr("alexw", department="Sales")
    assert (await team.services.sweep.run()).believed is False
    with pytest.raises(Undecidable):
        await team.services.baselines.accept(fault.digest, APPROVER)


async def test_where_there_is_no_fault_there_is_nothing_to_accept(team: Stage) -> None:
    with pytest.raises(NotThere):
        await team.services.baselines.accept("0" * 64, APPROVER)


async def test_people_whose_leaving_is_known_do_not_count_when_hr_deletes_them(team: Stage) -> None:
    for person in PEOPLE[:3]:
        team.hr(person, employeeLeaveDateTime=LEFT)
    await team.notice()
    await team.work()
    for person in PEOPLE[:3]:
        team.delete(person)
    assert (await team.services.sweep.run()).believed
