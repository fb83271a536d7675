"""Adopting accounts: planned first, written on demand, refused where it would be wrong."""

from __future__ import annotations

import pytest

from jml.identity import person_key
from jml.linking import Action, Planned, Wanted, apply_links, plan_links
from jml.state import Link, People
from tests.fakes.stage import BREAK_GLASS, Stage

WHO, ACCOUNT = "alexw", "soc-4f2a"


@pytest.fixture
def bare() -> Stage:
    """The demo's world, nobody linked."""
    return Stage()


async def planned(stage: Stage, *pairs: tuple[str, str]) -> list[Planned]:
    wanted = [Wanted(at, stage.person(who), stage.account(account)) for at, (who, account) in enumerate(pairs, 2)]
    return await plan_links(stage.services, wanted)


async def applied(stage: Stage, *pairs: tuple[str, str]) -> list[Planned]:
    return await apply_links(stage.services, await planned(stage, *pairs))


async def test_a_plan_writes_nothing(bare: Stage) -> None:
    [plan] = await planned(bare, (WHO, ACCOUNT))
    assert plan.action is Action.LINK
    assert bare.tables.rows["people"] == {}
    assert all(call.method == "GET" or "getByIds" in call.path for call in bare.mssp.calls)


async def test_a_link_is_a_row_and_the_persons_key_on_the_account(bare: Stage) -> None:
    [done] = await applied(bare, (WHO, ACCOUNT))
    assert done.action is Action.DONE
    assert bare.user(ACCOUNT)["employeeId"] == person_key(bare.tenant, bare.person(WHO))
    link = await People(bare.tables).get(bare.person(WHO))
    assert link is not None
    assert link.accounts == {bare.account(ACCOUNT)}


async def test_a_second_time_nothing_is_left_to_do(bare: Stage) -> None:
    await applied(bare, (WHO, ACCOUNT))
    bare.clock.advance(1)
    [again] = await planned(bare, (WHO, ACCOUNT))
    assert again.action is Action.ALREADY


async def test_several_accounts_of_one_person_are_one_row(bare: Stage) -> None:
    await applied(bare, (WHO, ACCOUNT), (WHO, "soc-e60b"))
    link = await People(bare.tables).get(bare.person(WHO))
    assert link is not None
    assert len(link.accounts) == 2


@pytest.mark.parametrize(
    ("who", "account", "reason"),
    [
        ("00000000-0000-4000-8000-000000000000", ACCOUNT, "no such person"),
        (WHO, "O'Brien/../x", "no such account"),
        (WHO, BREAK_GLASS, "protected by the policy"),
    ],
)
async def test_what_would_be_wrong_is_a_conflict_with_its_reason(
    bare: Stage, who: str, account: str, reason: str
) -> None:
    [plan] = await planned(bare, (who, account))
    assert plan.action is Action.CONFLICT
    assert reason in plan.reason


async def test_one_account_is_not_linked_to_two_people(bare: Stage) -> None:
    first, second = await planned(bare, (WHO, ACCOUNT), ("meganb", ACCOUNT))
    assert (first.action, second.action) == (Action.LINK, Action.CONFLICT)
    await applied(bare, (WHO, ACCOUNT))
    [other] = await planned(bare, ("meganb", ACCOUNT))
    assert other.action is Action.CONFLICT


async def test_an_account_that_carries_something_else_is_left_to_a_person(bare: Stage) -> None:
    bare.alter(bare.mssp, bare.account(ACCOUNT), employeeId="E-4711")
    [plan] = await planned(bare, (WHO, ACCOUNT))
    assert plan.action is Action.CONFLICT
    assert "E-4711" in plan.reason


async def test_an_account_whose_key_was_refused_is_not_linked(bare: Stage) -> None:
    """A row without the key would block every run of the person."""
    bare.mssp.faults.add({"method": "PATCH", "status": 403})
    [failed] = await applied(bare, (WHO, ACCOUNT))
    assert failed.action is Action.CONFLICT
    assert bare.tables.rows["people"] == {}


async def test_a_row_that_lost_its_key_gets_it_again(bare: Stage) -> None:
    await People(bare.tables).put(Link(bare.person(WHO), frozenset({bare.account(ACCOUNT)})))
    [done] = await applied(bare, (WHO, ACCOUNT))
    assert done.action is Action.DONE
    assert bare.user(ACCOUNT)["employeeId"]
