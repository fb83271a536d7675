"""After its retention a marked account is deleted, by a run of its own."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Open
from tests.e2e.holdings import MARK, user
from tests.e2e.scenario import Scenario
from tests.e2e.worlds import person_of, team

pytestmark = pytest.mark.e2e
ANN, BOB, STAYING = person_of("ann"), person_of("bob"), person_of("staying")


@pytest.fixture(scope="module")
def scenario(open_cloud: Open) -> Scenario:
    found = open_cloud(team("ann", "bob", "staying"), {"leaver.retention.period": "PT0S"})
    found.link({one.id: [one.account] for one in (ANN, BOB, STAYING)})  # two may leave in one window
    return found


def _present(scenario: Scenario, account: str) -> bool:
    return account in {one["id"] for one in scenario.tenant("mssp")["users"]}


def test_the_run_that_marks_an_account_does_not_delete_it_and_the_next_one_does(scenario: Scenario) -> None:
    scenario.leave(ANN.id)
    assert MARK in user(scenario.tenant("mssp"), ANN.account)["onPremisesExtensionAttributes"]
    scenario.release()
    scenario.settle()
    assert not _present(scenario, ANN.account)
    assert user(scenario.tenant("mssp"), ANN.account, "deletedUsers")["accountEnabled"] is False
    contained, deleted = (scenario.evidence(run["id"]) for run in scenario.runs(person=ANN.id))
    assert "DeleteAccount" not in {step["kind"] for step in contained["steps"]}
    assert [step["kind"] for step in deleted["steps"] if step["result"] == "verified"][-1] == "DeleteAccount"
    assert (contained["outcome"], deleted["outcome"]) == ("verified", "verified")
    assert scenario.verify(deleted).code == 0


def test_after_the_deletion_nothing_is_left_to_do(scenario: Scenario) -> None:
    runs = len(scenario.runs(person=ANN.id))
    scenario.carry_out()
    assert len(scenario.runs(person=ANN.id)) == runs
    [row] = [row for row in scenario.tables()["schedule"] if row["RowKey"] == ANN.id]
    assert row["state"] == "done"


def test_somebody_who_is_called_back_in_time_keeps_the_account(scenario: Scenario) -> None:
    scenario.leave(BOB.id)
    scenario.clear_leave_date(BOB.id)
    scenario.carry_out()
    assert _present(scenario, BOB.account)
    assert user(scenario.tenant("mssp"), BOB.account)["accountEnabled"] is False
