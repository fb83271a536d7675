"""Permissions that nobody granted: named by `doctor` and by the run, and nothing is decided from what is not known."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from jml.events import LeaverEvent, to_message
from jml.people import Cause
from tests.e2e.conftest import Open
from tests.e2e.holdings import everything_of, holdings, user
from tests.e2e.scenario import Scenario, Sent, now
from tests.e2e.worlds import CANARY, grants_without, person_of, team

pytestmark = pytest.mark.e2e
MISSING = (
    ("corporate", "User-LifeCycleInfo.Read.All"),
    ("mssp", "UserAuthenticationMethod.ReadWrite.All"),
    ("mssp", "PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup"),
)
NAMES = ("ann", "bob", "cleo", "unlinked")
ANN, BOB, CLEO, UNLINKED = (person_of(name) for name in NAMES)


@pytest.fixture(scope="module")
def scenario(open_cloud: Open) -> Scenario:
    """People with leave dates that the app cannot read."""
    world = team(*NAMES, jml={"grants": grants_without(*MISSING)})
    found = open_cloud(world)
    found.link({person.id: [person.account] for person in (ANN, BOB, CLEO)})
    return found


def test_doctor_names_exactly_what_is_missing(scenario: Scenario) -> None:
    examined = scenario.command("doctor")
    assert examined.code == 1
    missing = [line.removeprefix("MISSING").split()[:2] for line in examined.out.splitlines() if "MISSING" in line]
    assert missing == [*([f"{tenant}:", name] for tenant, name in sorted(MISSING, key=_place)), ["canary", "its"]]
    assert examined.out.rstrip().endswith("4 missing.")
    assert f"account {UNLINKED.account}" in examined.out


def _place(one: tuple[str, str]) -> int:
    """The order of the app's own table."""
    from jml.permissions import PERMISSIONS

    return [(p.tenant.value, p.name) for p in PERMISSIONS].index(one)


def test_a_leave_date_that_cannot_be_read_changes_nothing(scenario: Scenario) -> None:
    before = everything_of(scenario.tenant("mssp"), ANN.account)
    scenario.set_leave_date(ANN.id, now() - timedelta(days=1))
    scenario.carry_out()
    assert scenario.runs(person=ANN.id) == []
    assert [row for row in scenario.tables().get("schedule", []) if row["RowKey"] == ANN.id] == []
    assert everything_of(scenario.tenant("mssp"), ANN.account) == before


def test_an_event_about_a_date_that_cannot_be_read_is_blocked_naming_the_permission(scenario: Scenario) -> None:
    before = everything_of(scenario.tenant("mssp"), ANN.account)
    corporate = scenario.settings["JML_CORPORATE_TENANT_ID"]
    event = LeaverEvent(corporate, ANN.id, now() - timedelta(days=1), 1, Cause.DATE)
    scenario.send(Sent(to_message(event, now()).body, event.id, ANN.id))
    scenario.settle()
    evidence = scenario.last_evidence(ANN.id)
    assert evidence["outcome"] == "blocked"
    assert "User-LifeCycleInfo.Read.All" in evidence["reason"]
    assert evidence["steps"] == []
    assert everything_of(scenario.tenant("mssp"), ANN.account) == before


def test_what_is_still_known_is_acted_on_and_the_missing_permission_is_named(scenario: Scenario) -> None:
    """A deleted person has left whatever their date says; containment does not wait for what cannot be read."""
    scenario.delete_person(BOB.id)
    scenario.carry_out()
    account = user(scenario.tenant("mssp"), BOB.account)
    assert account["accountEnabled"] is False
    evidence = scenario.last_evidence(BOB.id)
    assert evidence["containment"]["contained"]
    assert evidence["outcome"] == "blocked"
    named = [name for tenant, name in MISSING if tenant == "mssp" and name in evidence["reason"]]
    assert named, evidence["reason"]
    assert scenario.verify(evidence).code == 0
    assert holdings(scenario.tenant("mssp"), BOB.account) == {}, "what could be read was removed all the same"
    marks = user(scenario.tenant("mssp"), BOB.account).get("onPremisesExtensionAttributes") or {}
    assert not any(marks.values()), "nobody knows that it is clean, so nothing says when to delete it"


def test_the_canary_falls_silent_in_every_way(scenario: Scenario) -> None:
    """The app reads null where HR wrote a date: the sandbox answers as Graph does, without an error."""
    calls = json.dumps([row for row in scenario.traffic() if row["tenant"] == "corporate"])
    assert CANARY in calls
    assert "2099-12-31" not in calls
    assert scenario.runs(person=CLEO.id) == []
