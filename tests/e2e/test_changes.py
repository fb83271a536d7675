"""HR changes its mind, corrects itself, or goes another way: what a person's accounts come to."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.e2e.conftest import Open
from tests.e2e.holdings import MARK, everything_of, holdings, user
from tests.e2e.scenario import Document, Scenario, now
from tests.e2e.worlds import Person, person_of, team

pytestmark = pytest.mark.e2e
NAMES = (
    *("again", "postponed", "past", "cleared", "returned", "rehired", "disabled", "moved", "deleted", "gone"),
    *("enabled", "early", "far", "reset", "called-off"),
)


@pytest.fixture(scope="module")
def scenario(open_cloud: Open) -> Scenario:
    found = open_cloud(team(*NAMES), {"leaver.backlog_after": "PT0S"})
    found.link({person_of(name).id: [person_of(name).account] for name in NAMES})
    return found


def _before(scenario: Scenario, person: Person) -> tuple[Document, Document]:
    return everything_of(scenario.tenant("mssp"), person.account)


def _is_contained_and_clean(scenario: Scenario, person: Person) -> bool:
    account, held = everything_of(scenario.tenant("mssp"), person.account)
    return not account["accountEnabled"] and held == {} and MARK in (account["onPremisesExtensionAttributes"] or {})


def _outcomes(scenario: Scenario, person: Person) -> list[str]:
    return [run["outcome"] for run in scenario.runs(person=person.id)]


def test_a_date_that_is_set_cleared_and_set_again_to_the_same_day_counts_three_times(scenario: Scenario) -> None:
    person = person_of("again")
    day = scenario.set_leave_date(person.id, now() + timedelta(days=3))
    scenario.sweep()
    scenario.clear_leave_date(person.id)
    scenario.sweep()
    scenario.set_leave_date(person.id, day)
    scenario.carry_out()
    [row] = [row for row in scenario.tables()["schedule"] if row["RowKey"] == person.id]
    assert (row["revision"], row["state"]) == (3, "scheduled")
    assert _outcomes(scenario, person) == []
    scenario.leave(person.id)
    assert _is_contained_and_clean(scenario, person)


def test_a_date_that_is_reset_after_its_event_went_out_makes_a_second_event(scenario: Scenario) -> None:
    person = person_of("reset")
    with scenario.holding(person.id):
        day = scenario.set_leave_date(person.id, now() - timedelta(seconds=1))
        scenario.sweep()
        scenario.release()
        scenario.clear_leave_date(person.id)
        scenario.sweep()
        scenario.set_leave_date(person.id, day)
        scenario.sweep()
        scenario.release()
        assert len({message["messageId"] for message in scenario.messages()}) == 2
    scenario.settle()
    assert _outcomes(scenario, person) == ["verified", "verified"]
    assert _is_contained_and_clean(scenario, person)


def test_an_event_of_somebody_whose_leaving_was_postponed_meanwhile_does_nothing(scenario: Scenario) -> None:
    person = person_of("postponed")
    untouched = _before(scenario, person)
    with scenario.holding(person.id):
        scenario.leave_soon(person.id)
        scenario.sweep()
        scenario.release()
        later = now() + timedelta(days=10)
        scenario.set_leave_date(person.id, later)
    scenario.settle()
    evidence = scenario.last_evidence(person.id)
    assert evidence["outcome"] == "left alone"
    assert evidence["reason"].startswith(f"the person does not leave before {later:%Y-%m-%dT%H:%M:%S}")
    assert scenario.verify(evidence).code == 0
    scenario.carry_out()
    assert _before(scenario, person) == untouched
    scenario.leave(person.id)
    assert _is_contained_and_clean(scenario, person)


def test_a_date_that_is_moved_to_the_past_is_due_at_once(scenario: Scenario) -> None:
    person = person_of("past")
    scenario.leave(person.id, when=now() + timedelta(days=20))
    assert _outcomes(scenario, person) == []
    scenario.leave(person.id, when=now() - timedelta(days=400))
    assert _outcomes(scenario, person) == ["verified"]
    assert _is_contained_and_clean(scenario, person)


@pytest.mark.parametrize("name", ["cleared", "rehired"])
def test_an_event_of_somebody_who_stays_after_all_does_nothing(scenario: Scenario, name: str) -> None:
    person = person_of(name)
    untouched = _before(scenario, person)
    with scenario.holding(person.id):
        scenario.leave_soon(person.id)
        scenario.sweep()
        scenario.release()
        rehired = {"employeeHireDate": "2026-12-01T08:00:00Z"} if name == "rehired" else {}
        scenario.change(person.id, employeeLeaveDateTime=None, **rehired)
    scenario.settle()
    evidence = scenario.last_evidence(person.id)
    assert evidence["outcome"] == "left alone"
    assert evidence["reason"] == "the person does not leave any more: no leave date"
    assert _before(scenario, person) == untouched


def test_somebody_who_comes_back_is_not_let_in_again_and_can_leave_again(scenario: Scenario) -> None:
    person = person_of("returned")
    scenario.leave(person.id)
    assert _is_contained_and_clean(scenario, person)
    scenario.clear_leave_date(person.id)
    scenario.carry_out()
    assert user(scenario.tenant("mssp"), person.account)["accountEnabled"] is False, "granting is gated"
    scenario.control("PATCH", f"/tenants/mssp/users/{person.account}", {"accountEnabled": True})
    scenario.carry_out()
    assert user(scenario.tenant("mssp"), person.account)["accountEnabled"], "an administrator let them in"
    scenario.leave(person.id)
    assert _is_contained_and_clean(scenario, person)


@pytest.mark.parametrize(
    ("name", "change", "cause"),
    [
        ("disabled", {"accountEnabled": False}, "disabled"),
        ("moved", {"department": "Retail"}, "out of scope"),
    ],
)
def test_what_ends_an_account_beside_the_date(
    scenario: Scenario, name: str, change: dict[str, object], cause: str
) -> None:
    person = person_of(name)
    scenario.change(person.id, **change)
    scenario.carry_out()
    assert _is_contained_and_clean(scenario, person)
    evidence = scenario.last_evidence(person.id)
    assert (evidence["trigger"]["cause"], evidence["outcome"]) == (cause, "verified")


@pytest.mark.parametrize("name", ["deleted", "gone"])
def test_a_person_whom_hr_deletes_has_left(scenario: Scenario, name: str) -> None:
    person = person_of(name)
    scenario.delete_person(person.id)
    if name == "gone":
        _purge(scenario, person)
    scenario.carry_out()
    assert _is_contained_and_clean(scenario, person)
    evidence = scenario.last_evidence(person.id)
    assert (evidence["trigger"]["cause"], evidence["outcome"]) == ("deleted", "verified")


def _purge(scenario: Scenario, person: Person) -> None:
    """Thirty days pass: the deleted items forget the person."""

    async def purge() -> None:
        scenario.cloud.graph._tenancies["corporate"].directory["deletedUsers"].remove(person.id)

    scenario.running.run(purge())


def test_an_account_that_is_enabled_again_after_its_day_is_found_in_the_backlog(scenario: Scenario) -> None:
    person = person_of("enabled")
    scenario.leave(person.id)
    scenario.control("PATCH", f"/tenants/mssp/users/{person.account}", {"accountEnabled": True})
    scenario.carry_out()
    assert _is_contained_and_clean(scenario, person)
    assert _outcomes(scenario, person) == ["verified", "verified"]


@pytest.mark.parametrize(
    ("name", "date", "state"),
    [("early", "0001-01-01T00:00:00Z", None), ("far", "9999-12-31T00:00:00Z", "scheduled")],
)
def test_the_first_and_the_last_year_end_nothing(scenario: Scenario, name: str, date: str, state: str | None) -> None:
    person = person_of(name)
    untouched = _before(scenario, person)
    scenario.leave(person.id, when=date)
    rows = {row["RowKey"]: row["state"] for row in scenario.tables()["schedule"]}
    assert rows.get(person.id) == state
    assert _before(scenario, person) == untouched


def test_called_off_before_its_day_leaves_no_run(scenario: Scenario) -> None:
    person = person_of("called-off")
    scenario.set_leave_date(person.id, now() + timedelta(days=1))
    scenario.sweep()
    scenario.clear_leave_date(person.id)
    scenario.carry_out()
    assert _outcomes(scenario, person) == []
    assert holdings(scenario.tenant("mssp"), person.account)
