"""Delivered twice, cut off, killed: the same end, one unbroken ledger, nothing lost and nothing left over."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.e2e.conftest import Open
from tests.e2e.holdings import MARK, holdings, user
from tests.e2e.scenario import Document, Scenario, Sent
from tests.e2e.worlds import Data, Person, person_of, team

pytestmark = pytest.mark.e2e
NAMES = ("twice", "resumed", "cut", "killed", "restarted", "again")
WRITES = 8
"""Steps of everybody here: disable, revoke, leave four groups, end one package, mark."""


@pytest.fixture(scope="module")
def scenario(open_cloud: Open) -> Scenario:
    found = open_cloud(_world())
    found.link({person_of(name).id: [person_of(name).account] for name in NAMES})
    return found


def _world() -> Data:
    """Everybody has an access package, whose end takes some polls and so some messages."""
    accounts = [person_of(name).account for name in NAMES]
    package = {"displayName": "Lab Access", "groups": ["Lab"], "assigned": accounts}
    groups = [{"displayName": "Lab"}, {"displayName": "Readers", "kind": "role-assignable", "members": accounts}]
    world = team(*NAMES, mssp={"groups": groups, "access_packages": [package]})
    return {**world, "settings": {"delivery_ms": 600}}


def _begin(scenario: Scenario, person: Person) -> None:
    scenario.leave_soon(person.id)
    scenario.sweep()
    scenario.release()


def _is_right(scenario: Scenario, person: Person) -> Document:
    """The end that every way must lead to; returns the evidence of the one run."""
    tenant = scenario.tenant("mssp")
    account = user(tenant, person.account)
    assert account["accountEnabled"] is False
    assert account["onPremisesExtensionAttributes"][MARK].startswith("delete-after ")
    assert holdings(tenant, person.account) == {}
    [run] = scenario.runs(person=person.id)
    evidence = scenario.evidence(run["id"])
    assert (run["state"], run["outcome"], evidence["outcome"]) == ("closed", "verified", "verified")
    assert scenario.verify(evidence).code == 0
    assert Counter(row["kind"] for row in evidence["rows"])["closed"] == 1
    assert len(evidence["steps"]) == WRITES
    assert {count for counts in scenario.control("GET", "/queues").values() for count in counts.values()} == {0}
    return evidence


def _has_begun(scenario: Scenario, person: Person) -> bool:
    """Contained, and something of the clean-up done."""
    tenant = scenario.tenant("mssp")
    held = holdings(tenant, person.account)
    return not user(tenant, person.account)["accountEnabled"] and len(held.get("groups", [])) < 4


def _has_ended(scenario: Scenario, person: Person) -> bool:
    marks = user(scenario.tenant("mssp"), person.account).get("onPremisesExtensionAttributes") or {}
    return bool(marks.get(MARK))


def test_every_message_delivered_twice_ends_as_once(scenario: Scenario) -> None:
    person = person_of("twice")
    doubled: set[str] = set()

    def double() -> None:
        """Every message that shows, the delayed ones too, under another id so that nothing takes it for a duplicate."""
        for message in scenario.messages():
            if message["messageId"] not in doubled:
                doubled.add(f"{message['messageId']}:again")
                doubled.add(message["messageId"])
                scenario.send(Sent(message["body"], f"{message['messageId']}:again", message["sessionId"]))

    with scenario.holding(person.id):
        _begin(scenario, person)
        double()
    scenario.settle(meanwhile=double)
    assert len(doubled) >= 4, "a message that continues the run was doubled too"
    _is_right(scenario, person)


def test_the_same_event_again_after_the_end_changes_nothing(scenario: Scenario) -> None:
    person = person_of("again")
    with scenario.holding(person.id):
        _begin(scenario, person)
        [message] = scenario.messages()
    scenario.settle()
    evidence = _is_right(scenario, person)
    writes = len(scenario.traffic())
    scenario.send(Sent(message["body"], "later", person.id))
    scenario.settle()
    assert _is_right(scenario, person) == evidence
    assert len(scenario.traffic()) == writes


def test_a_release_repeated_sends_one_event(scenario: Scenario) -> None:
    person = person_of("resumed")
    with scenario.holding(person.id):
        _begin(scenario, person)
        scenario.sweep()
        scenario.release()
        assert len(scenario.messages()) == 1
    scenario.settle()
    evidence = _is_right(scenario, person)
    assert evidence["slices"] > 1, "the package's delivery takes more than one slice"


def test_connections_cut_in_the_middle_end_the_same(scenario: Scenario) -> None:
    person = person_of("cut")
    with scenario.latency(150):
        _begin(scenario, person)
        scenario.until(lambda: _has_begun(scenario, person), "the clean-up has begun")
        assert not _has_ended(scenario, person)
        scenario.cloud.brokers["commercial"].drop_connections()
    scenario.settle()
    _is_right(scenario, person)


def test_killed_in_the_middle_of_the_clean_up_and_started_again_ends_the_same(scenario: Scenario) -> None:
    person = person_of("killed")
    with scenario.latency(150):
        _begin(scenario, person)
        scenario.until(lambda: _has_begun(scenario, person), "the clean-up has begun")
        scenario.kill()
    assert not _has_ended(scenario, person)
    scenario.start()
    scenario.settle()
    evidence = _is_right(scenario, person)
    assert evidence["slices"] > 1


def test_killed_before_the_first_write_and_again_after_it_ends_the_same(scenario: Scenario) -> None:
    person = person_of("restarted")
    with scenario.latency(150):
        _begin(scenario, person)
        scenario.until(lambda: scenario.runs(person=person.id), "the run is open")
        scenario.kill()
        assert user(scenario.tenant("mssp"), person.account)["accountEnabled"]
        scenario.start()
        scenario.until(
            lambda: not user(scenario.tenant("mssp"), person.account)["accountEnabled"], "the account is disabled"
        )
        scenario.kill()
    scenario.start()
    scenario.settle()
    evidence = _is_right(scenario, person)
    assert evidence["slices"] > 2
