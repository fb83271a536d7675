"""SIGKILL while each kind of step is on the wire: started again, the same end, and nothing asked for twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, get_args

import pytest

from jml.steps import LeaverStep
from tests.e2e.conftest import Open
from tests.e2e.holdings import MARK, holdings
from tests.e2e.scenario import Document, Scenario, now, written
from tests.e2e.worlds import Data, person_of, team

pytestmark = pytest.mark.e2e
KINDS = [kind.__name__ for kind in get_args(LeaverStep)]
"""Each has a leaver of its own, who is named after it."""
HELD_MS = 25_000
"""At most so long a request stays on the wire: less than the app waits for an answer."""

WIRE: dict[str, tuple[str, str]] = {
    "DisableAccount": ("PATCH", "^/users/{account}$"),
    "RevokeSessions": ("POST", "^/users/{account}/revokeSignInSessions$"),
    "EndGroupAssignment": ("POST", "/group/assignmentScheduleRequests$"),
    "EndGroupEligibility": ("POST", "/group/eligibilityScheduleRequests$"),
    "EndRoleAssignment": ("POST", "/directory/roleAssignmentScheduleRequests$"),
    "EndRoleEligibility": ("POST", "/directory/roleEligibilityScheduleRequests$"),
    "RemoveRoleAssignment": ("DELETE", "/directory/roleAssignments/"),
    "LeaveGroup": ("DELETE", "^/groups/[^/]+/members/{account}/"),
    "EndPackage": ("POST", "/entitlementManagement/assignmentRequests$"),
    "RemoveAppRole": ("DELETE", "^/users/{account}/appRoleAssignments/"),
    "RevokeGrant": ("DELETE", "^/oauth2PermissionGrants/"),
    "RemoveMethod": ("DELETE", "^/users/{account}/authentication/"),
    "MarkAccount": ("PATCH", "^/users/{account}$"),
    "DeleteAccount": ("DELETE", "^/users/{account}$"),
}
"""Kind of step → its request. Things of which there is one kind only belong to the one leaver who has them."""


@pytest.fixture(scope="module")
def scenario(open_cloud: Open) -> Scenario:
    found = open_cloud(_world())
    found.link({person_of(kind).id: [person_of(kind).account] for kind in KINDS})
    directory = found.cloud.graph._tenancies["mssp"].directory
    mine = person_of("RemoveRoleAssignment").account
    [schedule] = [row for row in directory["roleAssignmentSchedules"].rows.values() if row["principalId"] == mine]
    directory["roleAssignmentSchedules"].remove(schedule["id"])  # a role that was assigned outside PIM
    over = {MARK: f"delete-after {written(now() - timedelta(days=5))}"}
    ago = {"onPremisesExtensionAttributes": over, "accountEnabled": False}  # an account that can sign in is kept anew
    found.control("PATCH", f"/tenants/mssp/users/{person_of('DeleteAccount').account}", ago)
    return found


def _world() -> Data:
    """Everybody is in two groups, and has one thing of the kind that they are named after."""
    who = {kind: person_of(kind).account for kind in KINDS}
    mssp: dict[str, Any] = {
        "groups": [
            {"displayName": "On Duty", "pim": True},
            {"displayName": "On Call", "pim": True},
            {"displayName": "Lab"},
        ],
        "service_principals": [{"displayName": "Desk"}, {"displayName": "Explorer"}],
        "role_assignments": [
            {"principal": who["EndRoleAssignment"], "role": "Security Reader"},
            {"principal": who["RemoveRoleAssignment"], "role": "Global Reader"},
        ],
        "role_eligibilities": [{"principal": who["EndRoleEligibility"], "role": "Security Operator"}],
        "group_activations": [{"principal": who["EndGroupAssignment"], "group": "On Duty"}],
        "group_eligibilities": [{"principal": who["EndGroupEligibility"], "group": "On Call"}],
        "access_packages": [{"displayName": "Lab Access", "groups": ["Lab"], "assigned": [who["EndPackage"]]}],
        "app_roles": [{"principal": who["RemoveAppRole"], "resource": "Desk"}],
        "oauth2_grants": [
            {"principal": who["RevokeGrant"], "client": "Explorer", "resource": "Desk", "scope": "User.Read"}
        ],
        "authentication_methods": {who["RemoveMethod"]: [{"kind": "oath"}]},
    }
    return {**team(*KINDS, mssp=mssp), "settings": {"delivery_ms": 1000}}


def _held(kind: str) -> Iterable[Mapping[str, object]]:
    """Hold the request of a kind on the wire; a mark comes after the disabling, which has the same path."""
    method, path = WIRE[kind]
    fault = {"tenant": "mssp", "method": method, "path": path.format(account=person_of(kind).account), "times": 1}
    if kind == "MarkAccount":
        yield {**fault, "delay_ms": 1}
    yield {**fault, "delay_ms": HELD_MS}


def _is_right(scenario: Scenario, kind: str) -> Document:
    """Contained, clean, and marked or deleted; one closed run with an unbroken ledger says so."""
    tenant, account = scenario.tenant("mssp"), person_of(kind).account
    deleted = kind == "DeleteAccount"
    [user] = [one for one in tenant["deletedUsers" if deleted else "users"] if one["id"] == account]
    assert user["accountEnabled"] is False
    assert user["onPremisesExtensionAttributes"][MARK].startswith("delete-after ")
    assert deleted or holdings(tenant, account) == {}
    [run] = scenario.runs(person=person_of(kind).id)
    evidence = scenario.evidence(run["id"])
    assert (run["state"], run["outcome"]) == ("closed", "verified")
    assert scenario.verify(evidence).code == 0
    [step, *_] = [step for step in evidence["steps"] if step["kind"] == kind]
    assert step["result"] == "verified"
    return evidence


def _last_word(evidence: Document, kind: str) -> str:
    """What the process that was killed had written last of its step of this kind."""
    rows = evidence["rows"]
    resumed = next(at for at, row in enumerate(rows) if row["kind"] == "resumed")
    return str([row["kind"] for row in rows[:resumed] if row["step"].startswith(f"{kind}:")][-1])


@pytest.mark.parametrize("kinds", [KINDS[:7], KINDS[7:]], ids=lambda kinds: f"{kinds[0]} to {kinds[-1]}")
def test_killed_while_each_kind_of_step_is_on_the_wire_and_started_again(scenario: Scenario, kinds: list[str]) -> None:
    """Half of the kinds at once, each in a session: every request has reached Graph, and none has been answered.

    Graph carries them out in the end, long after the next process has done the same.
    """
    for kind in kinds:
        gone_long = timedelta(days=40 if kind == "DeleteAccount" else 0, seconds=1)
        scenario.set_leave_date(person_of(kind).id, now() - gone_long)
    with scenario.faults(*(fault for kind in kinds for fault in _held(kind))):
        scenario.sweep()
        scenario.release()
        scenario.until(lambda: scenario.control("GET", "/faults") == [], "every request is on the wire")
        scenario.kill()
        states = {row["person"]: row["state"] for row in scenario.tables()["runs"]}
        assert {states[person_of(kind).id] for kind in kinds} == {"open"}
        scenario.start()
        scenario.settle()
        told = {kind: _is_right(scenario, kind) for kind in kinds}
    assert {kind: _last_word(evidence, kind) for kind, evidence in told.items()} == dict.fromkeys(kinds, "intent")
    assert {kind: _is_right(scenario, kind) for kind in kinds} == told
    assert {count for counts in scenario.control("GET", "/queues").values() for count in counts.values()} == {0}


def test_no_package_was_asked_for_twice(scenario: Scenario) -> None:
    requests = scenario.cloud.graph._tenancies["mssp"].directory["accessPackageAssignmentRequests"].rows
    assert len(requests) == 1
