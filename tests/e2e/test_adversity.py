"""Privileged, protected, throttled, slow: the app may do less than it wants, and every run says what came of it."""

from __future__ import annotations

import json

import pytest

from jml.identity import person_key
from tests.e2e.conftest import Open
from tests.e2e.holdings import MARK, everything_of, holdings, user
from tests.e2e.scenario import Document, Scenario
from tests.e2e.worlds import BREAK_GLASS, Data, Person, person_of, team

pytestmark = pytest.mark.e2e
NAMES = (
    *("privileged", "owner", "guarded", "half", "admin", "throttled", "patient", "lost", "slow"),
    *("refused", "stubborn", "torn"),
)
GUARDED = person_of("guarded").account
SECOND = person_of("half, the second one").account
KEYED = {"guarded": [GUARDED], "half": [person_of("half").account, SECOND]}
"""Whose accounts carry their key without a row in the link table: protected ones cannot be linked."""
NONSENSE = {"error": {"code": "Request_BadRequest", "message": "Nonsense"}}
DENIED = {"error": {"code": "Authorization_RequestDenied", "message": "Insufficient privileges"}}


@pytest.fixture(scope="module")
def scenario(open_cloud: Open) -> Scenario:
    """The app holds no directory role; two accounts are protected; packages take their time."""
    changes = {"protected.accounts": [BREAK_GLASS, GUARDED, SECOND], "limits.retry_budget": "PT2S"}
    found = open_cloud(_world(), changes)
    found.link({person_of(name).id: [person_of(name).account] for name in NAMES if name not in KEYED})
    for name, accounts in KEYED.items():
        for account in accounts:
            _stamp(found, account, person_of(name))
    return found


def _stamp(scenario: Scenario, account: str, person: Person | None) -> None:
    """Write the person's key on an account, or take it off."""
    key = person_key(scenario.settings["JML_CORPORATE_TENANT_ID"], person.id) if person else None
    scenario.control("PATCH", f"/tenants/mssp/users/{account}", {"employeeId": key})


def _world() -> Data:
    privileged, owner, admin, slow = (person_of(name).account for name in ("privileged", "owner", "admin", "slow"))
    second = {"id": SECOND, "displayName": "soc-second", "userPrincipalName": "soc-second@soc.contoso.example"}
    mssp = {
        "users": [second],
        "groups": [
            {"displayName": "Readers", "kind": "role-assignable", "members": [privileged]},
            {"displayName": "Keepers", "kind": "role-assignable", "owners": [owner]},
            {"displayName": "Lab"},
        ],
        "role_assignments": [
            {"principal": privileged, "role": "Security Reader"},
            {"principal": admin, "role": "Global Administrator"},
        ],
        "access_packages": [{"displayName": "Lab Access", "groups": ["Lab"], "assigned": [slow]}],
    }
    world = team(*NAMES, mssp=mssp, jml={"directory_roles": {}})
    return {**world, "settings": {"delivery_ms": 1500}}


def _leave(scenario: Scenario, name: str) -> Document:
    scenario.leave(person_of(name).id)
    evidence = scenario.last_evidence(person_of(name).id)
    assert scenario.verify(evidence).code == 0
    return evidence


def _is_contained_and_clean(scenario: Scenario, name: str) -> bool:
    account, held = everything_of(scenario.tenant("mssp"), person_of(name).account)
    return not account["accountEnabled"] and held == {} and MARK in (account["onPremisesExtensionAttributes"] or {})


def _steps(evidence: Document, kind: str) -> list[Document]:
    return [step for step in evidence["steps"] if step["kind"] == kind]


# -- privileged


def test_a_disable_that_is_refused_for_its_roles_is_tried_again_without_them(scenario: Scenario) -> None:
    evidence = _leave(scenario, "privileged")
    assert _is_contained_and_clean(scenario, "privileged")
    first, again = _steps(evidence, "DisableAccount")
    [refused] = [one for one in first["tries"] if "status" in one]
    assert (refused["status"], refused["result"]) == (403, "blocked")
    assert "Privileged Authentication Administrator" in refused["reason"]
    assert again["again"]
    assert [one["status"] for one in again["tries"] if "status" in one] == [204]
    removals = [step["verifiedAt"] for kind in ("EndRoleAssignment", "LeaveGroup") for step in _steps(evidence, kind)]
    assert max(removals) <= again["tries"][0]["intendedAt"]
    [revoked] = _steps(evidence, "RevokeSessions")
    assert revoked["verifiedAt"] <= min(removals), "a refused disable does not keep sessions from being revoked"
    assert evidence["containment"]["contained"]
    assert evidence["outcome"] == "verified"


def test_an_account_that_stays_privileged_is_blocked_naming_the_role(scenario: Scenario) -> None:
    """Ownership of a role-assignable group is not for the app to take away."""
    evidence = _leave(scenario, "owner")
    assert user(scenario.tenant("mssp"), person_of("owner").account)["accountEnabled"]
    assert evidence["outcome"] == "blocked"
    assert not evidence["containment"]["contained"]
    [disable] = _steps(evidence, "DisableAccount")
    assert disable["result"] == "blocked"
    assert "owned object" in {stay["kind"] for stay in evidence["stays"]}
    [revoked] = _steps(evidence, "RevokeSessions")
    assert revoked["result"] == "verified"


# -- protected


def test_a_protected_account_is_untouched_and_the_run_says_why(scenario: Scenario) -> None:
    before = everything_of(scenario.tenant("mssp"), GUARDED)
    evidence = _leave(scenario, "guarded")
    assert everything_of(scenario.tenant("mssp"), GUARDED) == before
    assert evidence["outcome"] == "blocked"
    assert {step["result"] for step in evidence["steps"]} == {"protected"}
    assert {step["reason"] for step in evidence["steps"]} == {f"account {GUARDED} is protected by the policy"}


def test_a_protected_account_does_not_protect_the_others_of_its_person(scenario: Scenario) -> None:
    before = everything_of(scenario.tenant("mssp"), SECOND)
    evidence = _leave(scenario, "half")
    assert everything_of(scenario.tenant("mssp"), SECOND) == before
    assert _is_contained_and_clean(scenario, "half")
    assert evidence["outcome"] == "blocked"
    assert {step["account"] for step in evidence["steps"] if step["result"] == "protected"} == {SECOND}


def test_the_last_global_administrator_is_untouched(scenario: Scenario) -> None:
    account = person_of("admin").account
    scenario.control("PATCH", f"/tenants/mssp/users/{BREAK_GLASS}", {"accountEnabled": False})
    before = everything_of(scenario.tenant("mssp"), account)
    evidence = _leave(scenario, "admin")
    scenario.control("PATCH", f"/tenants/mssp/users/{BREAK_GLASS}", {"accountEnabled": True})
    assert everything_of(scenario.tenant("mssp"), account) == before
    assert evidence["outcome"] == "blocked"
    assert "last Global Administrator" in evidence["steps"][0]["reason"]


# -- a Graph that answers badly


def _fault(method: str, path: str, **how: object) -> dict[str, object]:
    return {"tenant": "mssp", "method": method, "path": path, "times": 1, **how}


def test_throttling_within_the_budget_is_waited_for(scenario: Scenario) -> None:
    account = person_of("throttled").account
    wait = {"status": 429, "headers": {"Retry-After": "1"}}
    with scenario.faults(
        _fault("PATCH", f"^/users/{account}", **wait),
        _fault("GET", f"^/users/{account}/memberOf", **wait),
        _fault("DELETE", "^/groups/.*/members", **wait),
        _fault("DELETE", "^/groups/.*/members", status=503),
        _fault("POST", "revokeSignInSessions", status=504),
    ):
        evidence = _leave(scenario, "throttled")
    assert _is_contained_and_clean(scenario, "throttled")
    assert evidence["outcome"] == "verified"


def test_throttling_past_the_budget_is_waited_for_in_the_queue(scenario: Scenario) -> None:
    wait = {"status": 429, "headers": {"Retry-After": "3"}}
    with scenario.faults(_fault("DELETE", "^/groups/.*/members", **wait, times=2), _fault("POST", "revoke", **wait)):
        evidence = _leave(scenario, "patient")
    assert _is_contained_and_clean(scenario, "patient")
    assert evidence["slices"] > 1
    assert evidence["outcome"] == "verified"


def test_a_connection_that_is_lost_after_the_effect_is_read_back(scenario: Scenario) -> None:
    """The second batch contains, and the second change of the account is its mark: both take effect unanswered."""
    account = person_of("lost").account
    change, batch = f"^/users/{account}$", "^/[$]batch$"
    with scenario.faults(
        _fault("POST", batch, delay_ms=1),
        _fault("POST", batch, reset_connection="after"),
        _fault("PATCH", change, delay_ms=1, times=2),
        _fault("PATCH", change, reset_connection="after"),
    ):
        evidence = _leave(scenario, "lost")
    assert _is_contained_and_clean(scenario, "lost")
    assert evidence["outcome"] == "verified"
    said = [json.dumps(row["request"]) for row in scenario.traffic() if account in row["url"] + str(row["request"])]
    for effect in ("revokeSignInSessions", "delete-after"):
        assert sum(effect in one for one in said) == 2, "unanswered, so sent again"


def test_a_permission_that_is_missing_for_a_step_is_named_and_the_rest_goes_on(scenario: Scenario) -> None:
    with scenario.faults(_fault("DELETE", "^/groups/.*/members", status=403, body=DENIED)):
        evidence = _leave(scenario, "refused")
    account = person_of("refused").account
    assert user(scenario.tenant("mssp"), account)["accountEnabled"] is False
    assert [len(ids) for ids in holdings(scenario.tenant("mssp"), account).values()] == [1]
    [blocked] = [step for step in evidence["steps"] if step["result"] == "blocked"]
    assert "GroupMember.ReadWrite.All" in str(blocked["tries"])
    assert evidence["outcome"] == "blocked"
    assert evidence["containment"]["contained"]


def test_a_step_that_is_refused_for_good_fails_alone(scenario: Scenario) -> None:
    with scenario.faults(_fault("DELETE", "^/groups/.*/members", status=400, body=NONSENSE)):
        evidence = _leave(scenario, "stubborn")
    assert sorted({step["result"] for step in evidence["steps"]}) == ["refused", "verified"]
    assert evidence["outcome"] == "partial"
    assert MARK in user(scenario.tenant("mssp"), person_of("stubborn").account)["onPremisesExtensionAttributes"]


def test_a_link_and_a_key_that_disagree_stop_the_run(scenario: Scenario) -> None:
    person = person_of("torn")
    _stamp(scenario, person.account, None)
    before = everything_of(scenario.tenant("mssp"), person.account)
    evidence = _leave(scenario, "torn")
    assert everything_of(scenario.tenant("mssp"), person.account) == before
    assert evidence["outcome"] == "blocked"
    assert evidence["reason"].startswith(f"the link table names {person.account}; employeeId names none")


# -- slow, and late


def test_a_package_whose_end_takes_its_time_is_polled_to_the_end(scenario: Scenario) -> None:
    evidence = _leave(scenario, "slow")
    assert _is_contained_and_clean(scenario, "slow")
    [end] = _steps(evidence, "EndPackage")
    assert end["result"] == "verified"
    assert len([one for one in end["tries"] if "intendedAt" in one]) == 1, "asked for once, looked at often"
    assert evidence["slices"] > 3
