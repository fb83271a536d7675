"""What containment waits for is urgent on every page: it does not stand behind clean-up."""

from __future__ import annotations

from typing import Any

import pytest

from jml.accounts import GLOBAL_ADMINISTRATOR
from jml.gather import MsspTenant
from jml.truth import CorporateTenant
from shared.pacer import Pacer
from shared.ports import Reply
from tests.fakes.stage import Stage, world_with

WORLD = world_with(lambda data: data.update(settings={"page_size": 1}))


@pytest.fixture
def stage() -> Stage:
    return Stage(WORLD)


@pytest.fixture
def urgent(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each request, in their order."""
    seen: list[bool] = []
    send = Pacer.send

    async def watched(pacer: Pacer, *args: Any, **options: Any) -> Any:
        seen.append(options["urgent"])
        return await send(pacer, *args, **options)

    monkeypatch.setattr(Pacer, "send", watched)
    return seen


@pytest.fixture
def followed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """How urgently the pages after each reply were asked for, whether there were any or not."""
    seen: list[bool] = []
    follow = stage.mssp.follow

    async def watched(reply: Reply, *, urgent: bool = False) -> Any:
        seen.append(urgent)
        return await follow(reply, urgent=urgent)

    monkeypatch.setattr(stage.mssp, "follow", watched)
    return seen


async def test_the_first_reading_of_accounts_and_administrators_is(
    stage: Stage, urgent: list[bool], followed: list[bool]
) -> None:
    mssp = MsspTenant(stage.mssp, {})
    *_, admins = await mssp.accounts([stage.account("soc-4f2a")], "key")
    group = {"@odata.type": "#microsoft.graph.group", "id": stage.mssp.state["groups"][0]["id"]}
    await mssp.administrators([], [*admins, {"roleDefinitionId": GLOBAL_ADMINISTRATOR, "principal": group}])
    assert len(urgent) > 4
    assert all(urgent)
    assert followed == [True, True]


async def test_looking_for_a_person_who_was_deleted_is(stage: Stage, urgent: list[bool]) -> None:
    await CorporateTenant(stage.corporate, stage.policy).person("00000000-0000-4000-8000-00000000dead")
    assert urgent == [True] * 3
