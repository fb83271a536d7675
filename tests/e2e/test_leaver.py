"""The demo's leaver, end to end: contained, cleaned up, marked, proven, and nothing said of anybody's name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from sandbox.functions_process import ROOT
from sandbox.local_cloud import default_grants
from sandbox.world import load_world
from shared.clock import from_text
from tests.e2e.conftest import Open
from tests.e2e.holdings import MARK, allowed_to_stay, everything_of, holdings, user
from tests.e2e.scenario import Document, Scenario, now

pytestmark = pytest.mark.e2e

READS = {"GET"}
NAMES = ("displayName", "userPrincipalName", "mail", "givenName", "surname", "mailNickname", "onPremisesSamAccountName")


@dataclass(frozen=True)
class Told:
    """The demo's leaver before and after, and everything that the app said about it."""

    scenario: Scenario
    person: str
    account: str
    before: dict[str, Document]
    after: dict[str, Document]
    messages: list[Document]
    evidence: Document


@pytest.fixture(scope="module")
def told(open_cloud: Open) -> Told:
    world = load_world(ROOT / "sandbox" / "worlds" / "demo.yaml", default_grants())
    scenario = open_cloud(world, {"residual_access.customer_tenants": [world.tenants["fabrikam"].id]})
    before = scenario.control("GET", "/state")["tenants"]
    people, accounts = (_by_alias(before[tenant]) for tenant in ("corporate", "mssp"))
    links = {people[alias]: [accounts[name] for name in names] for alias, names in world.x_scenario["links"].items()}
    scenario.link(links)
    before = scenario.control("GET", "/state")["tenants"]
    alex = people["alexw"]
    scenario.set_leave_date(alex, now() - timedelta(seconds=2))
    with scenario.holding(alex):
        scenario.sweep()
        scenario.release()
        messages = scenario.messages()
    scenario.settle()
    after = scenario.control("GET", "/state")["tenants"]
    return Told(scenario, alex, accounts["soc-4f2a"], before, after, messages, scenario.last_evidence(alex))


def _by_alias(tenant: Document) -> dict[str, str]:
    return {one["userPrincipalName"].split("@")[0]: one["id"] for one in tenant["users"]}


def test_the_account_is_contained(told: Told) -> None:
    before, after = (user(state["mssp"], told.account) for state in (told.before, told.after))
    assert after["accountEnabled"] is False
    assert from_text(after["signInSessionsValidFromDateTime"]) > from_text(before["signInSessionsValidFromDateTime"])


def test_it_was_contained_within_the_objective(told: Told) -> None:
    containment = told.evidence["containment"]
    assert containment["contained"]
    assert containment["objectiveMet"]
    assert 0 < containment["secondsFromDue"] < 60


def test_what_remains_is_exactly_what_the_run_reported(told: Told) -> None:
    remains = holdings(told.after["mssp"], told.account)
    assert remains == allowed_to_stay(told.before["mssp"], told.account, holdings(told.before["mssp"], told.account))
    reported = [stay for stay in told.evidence["stays"] if stay["kind"] != "guest"]
    assert sorted(stay["facts"].get("group") or stay["facts"]["object"] for stay in reported) == sorted(
        one for ids in remains.values() for one in ids
    )
    assert told.evidence["outcome"] == "partial"


def test_a_guest_in_a_customer_tenant_is_reported_as_residual_access(told: Told) -> None:
    [guest] = [stay["facts"] for stay in told.evidence["stays"] if stay["kind"] == "guest"]
    assert guest["tenant"] == told.after["fabrikam"]["id"]
    assert user(told.after["fabrikam"], guest["object"])["userType"] == "Guest"
    assert told.after["fabrikam"]["users"] == told.before["fabrikam"]["users"]


def test_the_account_says_until_when_it_is_kept(told: Told) -> None:
    mark = user(told.after["mssp"], told.account)["onPremisesExtensionAttributes"][MARK]
    label, _, until = mark.partition(" ")
    assert label == "delete-after"
    kept = from_text(until) - from_text(told.evidence["openedAt"])
    assert abs(kept - timedelta(days=30)) < timedelta(seconds=5)


def test_every_step_is_verified_by_a_read(told: Told) -> None:
    assert {step["result"] for step in told.evidence["steps"]} == {"verified"}
    assert all("before" in step and "after" in step for step in told.evidence["steps"])


def test_nobody_else_is_touched(told: Told) -> None:
    for account in [one["id"] for one in told.before["mssp"]["users"] if one["id"] != told.account]:
        assert everything_of(told.after["mssp"], account) == everything_of(told.before["mssp"], account)


def test_the_corporate_tenant_is_only_read(told: Told) -> None:
    calls = [row for row in _unfolded(told.scenario.traffic()) if row["tenant"] == "corporate"]
    assert calls
    assert {row["method"] for row in calls if "getByIds" not in row["url"]} == READS


def test_containment_comes_before_every_other_write(told: Told) -> None:
    account = told.account
    writes = [
        (row["method"], row["url"].split("/v1.0", 1)[-1], row["request"])
        for row in _unfolded(told.scenario.traffic())
        if row["tenant"] == "mssp" and row["method"] not in READS and "employeeId" not in str(row["request"])
    ]
    assert writes[:2] == [
        ("PATCH", f"/users/{account}", {"accountEnabled": False}),
        ("POST", f"/users/{account}/revokeSignInSessions", {}),
    ]
    assert len(writes) == len(told.evidence["steps"])


def _unfolded(rows: list[Document]) -> list[Document]:
    calls: list[Document] = []
    for row in rows:
        if not row["url"].endswith("/$batch"):
            calls.append(row)
            continue
        calls += [
            {"tenant": row["tenant"], "method": one["method"], "url": one["url"], "request": one.get("body")}
            for one in row["request"]["requests"]
        ]
    return calls


def test_the_evidence_verifies_with_the_command(told: Told) -> None:
    checked = told.scenario.verify(told.evidence)
    assert (checked.code, checked.err) == (0, "")
    assert "unbroken" in checked.out


def test_the_evidence_names_trigger_leave_date_and_zone(told: Told) -> None:
    trigger = told.evidence["trigger"]
    assert trigger["person"] == told.person
    assert trigger["cause"] == "leave date"
    assert from_text(trigger["effective"]) == from_text(trigger["written"])
    assert trigger["zone"] == "UTC"
    assert all(one["request"] for step in told.evidence["steps"] for one in step["tries"] if "answeredAt" in one)


@pytest.mark.parametrize("where", ["messages", "evidence", "tables", "log", "commands"])
def test_ids_only_no_name_is_said(told: Told, where: str) -> None:
    ways: dict[str, Callable[[], object]] = {
        "messages": lambda: told.messages,
        "evidence": lambda: told.evidence,
        "tables": told.scenario.tables,
        "log": told.scenario.running.log.read_text,
        "commands": lambda: [told.scenario.command(*words).out for words in (("link", "list"), ("doctor",))],
    }
    said = ways[where]()
    text = said if isinstance(said, str) else json.dumps(said, default=str, ensure_ascii=False)
    assert told.person in text
    assert _names_in(text, told.before) == set()


def test_names_would_be_found(told: Told) -> None:
    """Or the test above would show nothing."""
    said = json.dumps({"note": "Alex Wilber of Sentinel Analysts, soc-4f2a@soc.contoso.example"})
    assert _names_in(said, told.before) == {
        *("Alex Wilber", "Alex", "Wilber", "Sentinel Analysts"),
        *("soc-4f2a", "soc-4f2a@soc.contoso.example"),
    }


def _names_in(text: str, tenants: dict[str, Any]) -> set[str]:
    """Names of people, accounts, groups, devices and packages that stand in the text as whole words."""
    objects = [
        one
        for tenant in tenants.values()
        for kind in ("users", "deletedUsers", "groups", "devices", "accessPackages")
        for one in tenant[kind]
    ]
    names = {str(one[name]) for one in objects for name in NAMES if one.get(name)}
    return {name for name in names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)}


def test_nothing_is_rejected_or_left_in_a_queue(told: Told) -> None:
    queues = told.scenario.control("GET", "/queues")
    assert {count for counts in queues.values() for count in counts.values()} == {0}
