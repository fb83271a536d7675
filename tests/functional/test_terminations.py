"""An Operator orders that somebody leaves now."""

from __future__ import annotations

import pytest

from jml.schedule import State
from shared.authorisation import Caller, Forbidden, Role
from shared.errors import NotThere
from shared.ledger import Kind, Ledger, faults
from tests.fakes.stage import LEFT, Stage, policy_with

WHO, ACCOUNT = "alexw", "soc-4f2a"
OPERATOR = Caller("88888888-0000-4000-8000-000000000008", frozenset({Role.OPERATOR}))
OTHERS = ("meganb", "isaiahl", "lidiah", "pradeepg")


async def prepared(**limits: object) -> Stage:
    stage = Stage(policy=policy_with(limits={"poll": "PT2S", "missing": 1, **limits}))
    for person, accounts in stage.world.x_scenario["links"].items():
        await stage.link(person, *accounts)
    return stage


async def order(stage: Stage, person: str = WHO) -> None:
    await stage.services.terminations.order(stage.person(person), OPERATOR)
    await stage.work()


async def test_who_is_ordered_to_leave_is_offboarded_at_once_without_a_leave_date(stage: Stage) -> None:
    await order(stage)
    assert stage.user(ACCOUNT)["accountEnabled"] is False
    evidence = await stage.only_run()
    assert evidence["trigger"]["cause"] == "termination"
    assert evidence["containment"]["contained"] is True


async def test_it_passes_a_mass_hold() -> None:
    stage = await prepared(breaker={"count": 1, "share": 1})
    for person in (WHO, *OTHERS):
        stage.hr(person, employeeLeaveDateTime=LEFT)
    await stage.notice()
    assert (await stage.scheduled(WHO)).state is State.HELD
    await order(stage)
    assert stage.user(ACCOUNT)["accountEnabled"] is False
    assert [(await stage.scheduled(person)).state for person in OTHERS] == [State.HELD] * 4


async def test_beyond_their_own_limit_terminations_are_held_too() -> None:
    stage = await prepared(terminations={"count": 2})
    for person in (WHO, *OTHERS[:2]):
        await order(stage, person)
    assert stage.user("soc-b03d")["accountEnabled"] is True
    assert (await stage.scheduled("isaiahl")).state is State.HELD


async def test_it_needs_nothing_of_the_corporate_tenant(stage: Stage) -> None:
    stage.corporate.faults.add({"method": "GET", "status": 503})
    await order(stage)
    assert stage.user(ACCOUNT)["accountEnabled"] is False


async def test_a_sweep_that_sees_no_leave_date_does_not_call_it_off(stage: Stage) -> None:
    await stage.services.terminations.order(stage.person(WHO), OPERATOR)
    await stage.services.sweep.run()
    await stage.work()
    assert stage.user(ACCOUNT)["accountEnabled"] is False
    assert (await stage.scheduled(WHO)).state is State.RETAINED


async def test_a_revoked_order_ends_what_has_not_begun(stage: Stage) -> None:
    await stage.services.terminations.order(stage.person(WHO), OPERATOR)
    await stage.services.terminations.revoke(stage.person(WHO), OPERATOR)
    await stage.work()
    assert stage.user(ACCOUNT)["accountEnabled"] is True
    assert (await stage.only_run())["outcome"] == "left alone"
    await stage.services.sweep.run()
    assert (await stage.scheduled(WHO)).state is State.CLEARED


async def test_ordered_twice_is_one_order_and_ordered_again_after_its_end_is_another(stage: Stage) -> None:
    person = stage.person(WHO)
    first = await stage.services.terminations.order(person, OPERATOR)
    assert await stage.services.terminations.order(person, OPERATOR) == first
    await stage.work()
    assert len(await stage.runs()) == 1
    await stage.services.terminations.revoke(person, OPERATOR)
    second = await stage.services.terminations.order(person, OPERATOR)
    assert second.revision == first.revision + 1


async def test_both_decisions_are_ledger_rows_with_the_deciders_id(stage: Stage) -> None:
    given = await stage.services.terminations.order(stage.person(WHO), OPERATOR)
    other = Caller("77777777-0000-4000-8000-000000000007", frozenset({Role.OPERATOR}))
    await stage.services.terminations.revoke(stage.person(WHO), other)
    for question, decision, by in (
        (given.question, "ordered", OPERATOR.object_id),
        (given.revocation(other.object_id), "revoked", other.object_id),
    ):
        rows = (await Ledger.load(stage.tables, question)).rows
        decided = [(row.data["decision"], row.data["by"]) for row in rows if row.kind == Kind.DECIDED]
        assert decided == [(decision, by)]
        assert faults([row.document() for row in rows]) == []


async def test_nobody_revokes_their_own(stage: Stage) -> None:
    await stage.services.terminations.order(stage.person(WHO), OPERATOR)
    subject = Caller(stage.account(ACCOUNT), frozenset({Role.OPERATOR}))
    with pytest.raises(Forbidden):
        await stage.services.terminations.revoke(stage.person(WHO), subject)


async def test_what_was_never_ordered_cannot_be_revoked(stage: Stage) -> None:
    with pytest.raises(NotThere):
        await stage.services.terminations.revoke(stage.person(WHO), OPERATOR)


async def test_an_order_whose_process_died_is_carried_out_by_the_next_sweep() -> None:
    for cut in range(1, 8):
        stage = await prepared()
        stage.wire.cut_after(cut)
        try:
            await stage.services.terminations.order(stage.person(WHO), OPERATOR)
        except BaseException:  # noqa: BLE001 - a crash
            await stage.restart()
        stage.wire.revive()
        ordered = await stage.services.terminations.all()
        await stage.notice()
        await stage.work()
        assert stage.user(ACCOUNT)["accountEnabled"] is (not ordered), cut
