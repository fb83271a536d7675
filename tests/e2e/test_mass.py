"""Mistakes and lies of the source: a mass of leavers is held, a shrunken source changes nothing, an order passes."""

from __future__ import annotations

import json

import pytest

from jml.events import LeaverEvent, to_message
from jml.people import Cause
from shared.clock import from_text
from tests.e2e.conftest import Open
from tests.e2e.scenario import DECIDER, Scenario, Sent, now
from tests.e2e.worlds import Person, person_of, team

pytestmark = pytest.mark.e2e
NAMES = [f"p{at:02d}" for at in range(24)]
PEOPLE = [person_of(name) for name in NAMES]
LIMITS = {
    "limits.breaker": {"count": 20, "share": 0.125, "window": "P1D"},
    "limits.terminations": {"count": 1, "window": "P1D"},
    "limits.missing": 0.5,
}
PLACES = 3


@pytest.fixture
def scenario(open_cloud: Open) -> Scenario:
    """Twenty-four linked people; three of them a day may leave."""
    found = open_cloud(team(*NAMES), LIMITS)
    found.link({person.id: [person.account] for person in PEOPLE})
    found.sweep()
    return found


@pytest.fixture(scope="module")
def calm(open_cloud: Open) -> Scenario:
    """One person, of whom nobody says anything."""
    found = open_cloud(team(NAMES[0]))
    found.link({PEOPLE[0].id: [PEOPLE[0].account]})
    return found


def _accounts(people: list[Person]) -> set[str]:
    return {person.account for person in people}


def test_half_of_the_people_leave_and_wait_for_an_approver_who_names_the_plan(scenario: Scenario) -> None:
    half, rest = PEOPLE[:12], PEOPLE[12:]
    scenario.leave(*(person.id for person in half))
    assert scenario.enabled(*_accounts(PEOPLE)) == _accounts(PEOPLE)
    assert scenario.runs() == []
    [hold] = scenario.holds(state="open")
    assert hold["people"] == 12
    plan = scenario.ask(f"/holds/{hold['id']}").json()["plan"]
    assert {one["person"] for one in plan} == {person.id for person in half}
    path = f"/holds/{hold['id']}/release"
    assert scenario.tell("Operator", "POST", path, {"digest": hold["digest"]}).status_code == 403
    assert scenario.tell("Auditor", "POST", path, {"digest": hold["digest"]}).status_code == 403

    urgent, second, third = rest[:3]
    assert scenario.tell("Approver", "POST", "/terminations", {"person": urgent.id}).status_code == 403
    assert scenario.tell("Operator", "POST", "/terminations", {"person": urgent.id}).status_code == 202
    scenario.settle()
    assert scenario.enabled(urgent.account) == set()
    scenario.tell("Operator", "POST", "/terminations", {"person": second.id})
    scenario.settle()
    assert scenario.enabled(second.account) == {second.account}
    [over] = [run for run in scenario.runs() if run["outcome"] == "held"]
    assert over["person"] == second.id

    scenario.clear_leave_date(half[0].id)
    stale = scenario.tell("Approver", "POST", path, {"digest": hold["digest"]})
    assert (stale.status_code, stale.headers["content-type"]) == (409, "application/problem+json")
    assert scenario.enabled(*_accounts(half)) == _accounts(half)
    released = scenario.tell("Approver", "POST", path, {"digest": stale.json()["digest"]})
    assert (released.status_code, released.json()["state"], released.json()["decidedBy"]) == (200, "released", DECIDER)
    scenario.release()
    scenario.settle()
    assert scenario.enabled(*_accounts(half)) == {half[0].account}

    scenario.leave(third.id)
    assert scenario.enabled(third.account) == set(), "those who were released leave the window's places to others"
    rows = scenario.ask(f"/holds/{hold['id']}").json()["rows"]
    decided = [(row["data"]["decision"], row["data"]["by"]) for row in rows if row["kind"] == "decided"]
    assert decided == [("held again", DECIDER), ("released", DECIDER)]


def test_two_mass_events_at_once_cannot_slip_through_together(scenario: Scenario) -> None:
    """Both write their events past the schedule, and HR's dates agree with them: the places are taken one by one."""
    scenario_now = now()
    date = scenario.set_leave_date(PEOPLE[0].id, scenario_now)
    messages = []
    for person in PEOPLE:
        scenario.set_leave_date(person.id, date)
        tenant = scenario.cloud.world.tenants["corporate"].id
        event = LeaverEvent(tenant, person.id, from_text(date), 1, Cause.DATE, date)
        message = to_message(event, scenario_now)
        messages.append(Sent(message.body, message.id, person.id))
    scenario.send(*messages)
    scenario.settle()
    assert len(scenario.enabled(*_accounts(PEOPLE))) == len(PEOPLE) - PLACES
    outcomes = [run["outcome"] for run in scenario.runs()]
    assert outcomes.count("held") == len(PEOPLE) - PLACES


def test_a_source_that_answers_with_nothing_or_with_strangers_changes_nothing(scenario: Scenario) -> None:
    before = json.dumps(scenario.tenant("mssp"), sort_keys=True)
    empty = {"tenant": "corporate", "method": "POST", "path": "getByIds", "status": 200, "body": {"value": []}}
    with scenario.faults(empty):
        scenario.carry_out()
    assert scenario.ask("/baseline").json()["state"] == "fault"
    scenario.carry_out()
    assert scenario.ask("/baseline").json() == {"state": "good"}

    for person in PEOPLE[:16]:
        scenario.change(person.id, department="Sales")
    scenario.carry_out()
    fault = scenario.ask("/baseline").json()
    assert (fault["state"], fault["gone"], fault["linked"]) == ("fault", 16, 24)
    assert json.dumps(scenario.tenant("mssp"), sort_keys=True) == before
    assert scenario.tell("Operator", "POST", "/baseline/accept", {"digest": fault["digest"]}).status_code == 403
    assert scenario.tell("Approver", "POST", "/baseline/accept", {"digest": "0" * 64}).status_code == 409
    accepted = scenario.tell("Approver", "POST", "/baseline/accept", {"digest": fault["digest"]})
    assert (accepted.status_code, accepted.json()["acceptedBy"]) == (200, DECIDER)
    scenario.carry_out()
    [hold] = scenario.holds(state="open")
    assert hold["people"] == 16, "a baseline that was accepted is believed, and so many are held all the same"
    assert json.dumps(scenario.tenant("mssp"), sort_keys=True) == before


def test_who_was_ordered_to_leave_by_mistake_stays_when_the_order_is_revoked(calm: Scenario) -> None:
    person = PEOPLE[0]
    with calm.holding(person.id):
        assert calm.tell("Operator", "POST", "/terminations", {"person": person.id}).status_code == 202
        [order] = calm.ask("/terminations").json()["terminations"]
        assert (order["id"], order["orderedBy"]) == (person.id, DECIDER)
        assert calm.tell("Operator", "DELETE", f"/terminations/{person.id}").status_code == 204
        assert calm.tell("Operator", "DELETE", f"/terminations/{person.id}").status_code == 404
    calm.settle()
    assert calm.enabled(person.account) == {person.account}


@pytest.mark.parametrize("person", ["", "nobody", "../x", "A" * 40, 7, None])
def test_an_order_for_what_is_no_person_names_the_field(calm: Scenario, person: object) -> None:
    reply = calm.tell("Operator", "POST", "/terminations", {"person": person})
    assert reply.status_code == 400
    assert reply.json()["detail"].startswith("person: ")
