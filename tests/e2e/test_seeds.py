"""Worlds that nobody wrote: ten seeds, each judged by what its tenants say, not by what the app says.

The ten worlds share one pair of tenants, so that one local cloud carries them all, and their leavers leave at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from sandbox.worlds.generate import shuffle
from shared.clock import from_text
from tests.e2e.conftest import Open
from tests.e2e.holdings import MARK, allowed_to_stay, everything_of, holdings, user
from tests.e2e.scenario import Document, Scenario, now
from tests.e2e.worlds import BREAK_GLASS, CANARY, Data, opened

pytestmark = pytest.mark.e2e
SEEDS = range(10)
NAMES = ("displayName", "userPrincipalName", "mail")
SHARED = {BREAK_GLASS, CANARY}


@dataclass(frozen=True)
class Ended:
    """All seeds' scenarios, and the tenants before and after their leavers have left."""

    scenario: Scenario
    seeds: dict[int, Document]
    before: Document
    after: Document


@pytest.fixture(scope="module")
def ended(open_cloud: Open) -> Ended:
    worlds = {seed: shuffle(seed) for seed in SEEDS}
    seeds = {seed: world["x_scenario"] for seed, world in worlds.items()}
    world = opened(_together([_renamed(world, f"s{seed}-") for seed, world in worlds.items()]))
    scenario = open_cloud(world, {"residual_access.customer_tenants": [world.tenants["customer"].id]})
    scenario.link({person: accounts for one in seeds.values() for person, accounts in one["links"].items()})
    before = scenario.control("GET", "/state")["tenants"]
    scenario.leave(*(one[who]["person"] for one in seeds.values() for who in ("leaver", "unlinked")), when=now())
    return Ended(scenario, seeds, before, scenario.control("GET", "/state")["tenants"])


def _renamed(value: Any, prefix: str, names: frozenset[str] | None = None) -> Any:
    """A world whose names begin with `prefix` wherever they stand; who is the same in every world stays so."""
    names = _names(value) if names is None else names
    if isinstance(value, dict):
        return value if value.get("id") in SHARED else {k: _renamed(one, prefix, names) for k, one in value.items()}
    if isinstance(value, list):
        return [_renamed(one, prefix, names) for one in value]
    return prefix + value if value in names else value


def _names(value: Any) -> frozenset[str]:
    if isinstance(value, list):
        return frozenset().union(*(_names(one) for one in value))
    if not isinstance(value, dict) or value.get("id") in SHARED:
        return frozenset()
    own = {value[name] for name in NAMES if name in value}
    return frozenset(own).union(*(_names(one) for one in value.values()))


def _together(worlds: list[Data]) -> Data:
    """One world of all: lists of a tenant one after the other, what they share once."""
    first, *others = worlds
    for other in others:
        for name, tenant in other["tenants"].items():
            for key, value in tenant.items():
                _add(first["tenants"][name], key, value)
    return first


def _add(tenant: Data, key: str, value: Any) -> None:
    if isinstance(value, list):
        known = tenant.setdefault(key, [])
        known += [one for one in value if one not in known]
    elif isinstance(value, dict):
        tenant.setdefault(key, {}).update(value)


def _leaving(one: Document) -> list[tuple[str, str]]:
    return [(one[who]["person"], account) for who in ("leaver", "deleted") for account in one[who]["accounts"]]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_account_of_a_leaver_is_contained_cleaned_up_and_marked(ended: Ended, seed: int) -> None:
    leaving = _leaving(ended.seeds[seed])
    assert len(leaving) == 3
    for _, account in leaving:
        before, after = (user(state["mssp"], account) for state in (ended.before, ended.after))
        assert after["accountEnabled"] is False
        since = "signInSessionsValidFromDateTime"
        assert from_text(after[since]) > from_text(before[since])
        assert after["onPremisesExtensionAttributes"][MARK].startswith("delete-after ")
        had = holdings(ended.before["mssp"], account)
        assert holdings(ended.after["mssp"], account) == allowed_to_stay(ended.before["mssp"], account, had)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_evidence_reports_exactly_what_stays(ended: Ended, seed: int) -> None:
    one = ended.seeds[seed]
    for who in ("leaver", "deleted"):
        evidence = ended.scenario.last_evidence(one[who]["person"])
        assert ended.scenario.verify(evidence).code == 0
        assert evidence["containment"]["objectiveMet"] or who == "deleted"
        remains = [holdings(ended.after["mssp"], account) for account in one[who]["accounts"]]
        stays = [stay for stay in evidence["stays"] if stay["kind"] != "guest"]
        assert sorted(stay["facts"].get("group") or stay["facts"]["object"] for stay in stays) == sorted(
            one for held in remains for ids in held.values() for one in ids
        )
        assert len([stay for stay in evidence["stays"] if stay["kind"] == "guest"]) == 1
        assert evidence["outcome"] == "partial"


@pytest.mark.parametrize("seed", SEEDS)
def test_somebody_whom_nobody_linked_is_left_alone(ended: Ended, seed: int) -> None:
    person = ended.seeds[seed]["unlinked"]["person"]
    evidence = ended.scenario.last_evidence(person)
    assert (evidence["outcome"], evidence["steps"]) == ("left alone", [])
    assert evidence["reason"] == "no account was ever linked to this person"


def test_no_bystander_is_touched(ended: Ended) -> None:
    left = {account for one in ended.seeds.values() for _, account in _leaving(one)}
    bystanders = [one["id"] for one in ended.before["mssp"]["users"] if one["id"] not in left]
    assert len(bystanders) > 40
    for account in bystanders:
        assert everything_of(ended.after["mssp"], account) == everything_of(ended.before["mssp"], account)
    assert ended.after["customer"] == ended.before["customer"]


def test_nobody_who_stays_has_a_run(ended: Ended) -> None:
    left = {one[who]["person"] for one in ended.seeds.values() for who in ("leaver", "deleted", "unlinked")}
    assert {run["person"] for run in ended.scenario.runs()} == left
