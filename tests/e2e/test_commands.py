"""What an operator does from a shell: link, doctor, verify-evidence, with their exit codes."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from jml.identity import person_key
from jml.permissions import PERMISSIONS, TenantRole
from sandbox.functions_process import ROOT
from tests.e2e.conftest import Open
from tests.e2e.holdings import user
from tests.e2e.scenario import Document, Scenario
from tests.e2e.worlds import BREAK_GLASS, person_of, team, write_policy

pytestmark = pytest.mark.e2e
NAMES = ("ann", "bob", "cleo", "dora", "emil", "left")
ANN, BOB, CLEO, DORA, EMIL, LEFT = (person_of(name) for name in NAMES)
NOBODY = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(scope="module")
def scenario(open_cloud: Open) -> Scenario:
    found = open_cloud(team(*NAMES))
    found.link({LEFT.id: [LEFT.account]})
    found.leave(LEFT.id)
    return found


@pytest.fixture(scope="module")
def evidence(scenario: Scenario) -> Document:
    return scenario.last_evidence(LEFT.id)


def _csv(*rows: tuple[str, str]) -> str:
    return "".join(f"{person},{account}\n" for person, account in [("person", "account"), *rows])


def _employee_id(scenario: Scenario, account: str) -> str | None:
    found: str | None = user(scenario.tenant("mssp"), account)["employeeId"]
    return found


# -- link


def test_a_plan_is_shown_and_changes_nothing_until_it_is_applied(scenario: Scenario) -> None:
    file = scenario.file("links.csv", _csv((ANN.id, ANN.account), (BOB.id, "soc-bob@soc.contoso.example")))
    planned = scenario.command("link", "import", file)
    assert planned.code == 0
    assert "2 to link: run again with --apply to act." in planned.out
    assert ANN.account not in scenario.command("link", "list").out
    assert _employee_id(scenario, ANN.account) is None

    applied = scenario.command("link", "import", file, "--apply")
    assert applied.code == 0
    assert "to link" not in applied.out
    listed = scenario.command("link", "list").out.splitlines()
    assert {tuple(line.split()) for line in listed} >= {(ANN.id, ANN.account), (BOB.id, BOB.account)}
    corporate = scenario.settings["JML_CORPORATE_TENANT_ID"]
    assert _employee_id(scenario, BOB.account) == person_key(corporate, BOB.id)

    again = scenario.command("link", "import", file, "--apply")
    assert again.code == 0
    assert again.out.count("already linked") == 2


def test_every_conflict_is_shown_with_its_reason_and_the_rest_is_done(scenario: Scenario) -> None:
    scenario.control("PATCH", f"/tenants/mssp/users/{EMIL.account}", {"employeeId": "E-77"})
    rows = [
        (NOBODY, CLEO.account, "no such person"),
        (CLEO.id, NOBODY, "no such account"),
        (CLEO.id, "o'brien@soc.contoso.example", "no such account"),
        (CLEO.id, LEFT.account, f"the account is linked to person {LEFT.id}"),
        (EMIL.id, EMIL.account, "employeeId is 'E-77'"),
        (EMIL.id, BREAK_GLASS, "protected by the policy"),
    ]
    text = _csv(*((person, account) for person, account, _ in rows), (CLEO.id, CLEO.account))
    done = scenario.command("link", "import", scenario.file("conflicts.csv", text), "--apply")
    assert done.code == 1
    lines = done.out.splitlines()[1:]
    for line, (_, _, reason) in zip(lines, rows, strict=False):
        assert "conflict" in line
        assert reason in line
    assert lines[len(rows)].split()[1:] == ["linked", CLEO.id, CLEO.account]
    assert _employee_id(scenario, EMIL.account) == "E-77"


def test_two_lines_for_one_account_cannot_both_be_right(scenario: Scenario) -> None:
    text = _csv((DORA.id, DORA.account), (EMIL.id, DORA.account))
    done = scenario.command("link", "import", scenario.file("twice.csv", text), "--apply")
    assert done.code == 1
    assert f"the account is linked to person {DORA.id}" in done.out
    assert f"{EMIL.id}  {DORA.account}" not in scenario.command("link", "list").out


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("empty.csv", "", "a header with person and account was expected"),
        ("names.csv", "who,what\n", "a header with person and account was expected"),
        ("none.csv", "person,account\n", "there is no line in it"),
        ("wrong.csv", "person,account\nann,\n", "line 2: account: an object id or user principal name was expected"),
        ("wrong.csv", "person,account\nann,\n", "line 2: person: a corporate object id was expected"),
        ("broken.json", "[", "Expecting value"),
        ("object.json", "{}", "a list of objects with person and account was expected"),
    ],
)
def test_a_file_that_cannot_be_read_is_2_with_the_line_named(
    scenario: Scenario, name: str, text: str, says: str
) -> None:
    done = scenario.command("link", "import", scenario.file(name, text), "--apply")
    assert (done.code, done.out) == (2, "")
    assert says in done.err


# -- doctor


def test_doctor_finds_everything_there_and_lists_who_is_not_linked(scenario: Scenario) -> None:
    examined = scenario.command("doctor")
    assert examined.code == 0
    assert examined.out.rstrip().endswith("Nothing is missing.")
    assert "MISSING" not in examined.out
    for permission in PERMISSIONS:
        if permission.tenant is not TenantRole.CUSTOMER:
            assert f"{permission.tenant.value}: {permission.name} " in examined.out
    notes = [line.split()[2] for line in examined.out.splitlines() if line.startswith("note")]
    linked = scenario.command("link", "list").out
    enabled = {one["id"] for one in scenario.tenant("mssp")["users"] if one["accountEnabled"]}
    assert set(notes) == {one for one in enabled - {BREAK_GLASS} if one not in linked}
    assert EMIL.account in notes


def test_doctor_names_what_the_policy_looks_for_and_nobody_has(scenario: Scenario, tmp_path: Path) -> None:
    scope = [{"department": ["Security Operations", "Securty Operations"], "jobTitle": ["Chef's Cook"]}]
    policy = write_policy(tmp_path / "policy.yaml", {"scope": scope})
    with mock.patch.dict(scenario.settings, {"JML_POLICY": str(policy)}):
        examined = scenario.command("doctor")
    assert examined.code == 1
    missing = [line.split("  ")[1] for line in examined.out.splitlines() if line.startswith("MISSING")]
    assert missing == ["policy: scope department 'Securty Operations'", 'policy: scope jobTitle "Chef\'s Cook"']


# -- verify-evidence


def test_evidence_as_it_came_is_good(scenario: Scenario, evidence: Document) -> None:
    done = scenario.verify(evidence)
    assert done.code == 0
    assert f"{len(evidence['rows'])} rows, unbroken" in done.out


def _change_a_row(document: Document) -> None:
    document["rows"][3]["data"]["before"] = {}


def _change_a_time(document: Document) -> None:
    document["rows"][0]["at"] = "2026-01-01T00:00:00.000000Z"


def _drop_a_row(document: Document) -> None:
    del document["rows"][2]


def _drop_the_last_row(document: Document) -> None:
    del document["rows"][-1]


def _swap_two_rows(document: Document) -> None:
    rows = document["rows"]
    rows[4], rows[5] = rows[5], rows[4]


def _repeat_a_row(document: Document) -> None:
    document["rows"].insert(3, document["rows"][3])


def _change_the_summary(document: Document) -> None:
    document["containment"]["secondsFromDue"] = 0.1


def _forget_a_finding(document: Document) -> None:
    document["outcome"] = "partial"


def _drop_all_rows(document: Document) -> None:
    document["rows"] = []


@pytest.mark.parametrize(
    "forge",
    [
        _change_a_row,
        _change_a_time,
        _drop_a_row,
        _drop_the_last_row,
        _swap_two_rows,
        _repeat_a_row,
        _change_the_summary,
        _forget_a_finding,
        _drop_all_rows,
    ],
)
def test_evidence_that_was_touched_is_1(
    scenario: Scenario, evidence: Document, forge: Callable[[Document], None]
) -> None:
    forged = copy.deepcopy(evidence)
    forge(forged)
    done = scenario.verify(forged)
    assert done.code == 1
    assert "NOT what was written" in done.out


@pytest.mark.parametrize(("text", "code"), [("", 2), ("{", 2), ("[]", 1), ("{}", 1), ('{"rows": [1]}', 1)])
def test_what_is_no_evidence_does_not_pass(scenario: Scenario, text: str, code: int) -> None:
    assert scenario.command("verify-evidence", scenario.file("no.json", text), env=False).code == code


def test_a_good_file_does_not_excuse_a_bad_one(scenario: Scenario, evidence: Document) -> None:
    good = scenario.file("good.json", json.dumps(evidence))
    bad = scenario.file("bad.json", json.dumps({**evidence, "outcome": "failed"}))
    done = scenario.command("verify-evidence", good, bad, env=False)
    assert done.code == 1
    assert "unbroken" in done.out


# -- as a process


def _python_m_jml(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "jml", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **(env or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_itself_works_with_the_settings_file(scenario: Scenario) -> None:
    done = _python_m_jml("--env", str(scenario.env_file()), "link", "list")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{LEFT.id}  {LEFT.account}" in done.stdout


def test_a_settings_file_that_is_missing_is_2_with_a_clear_line() -> None:
    done = _python_m_jml("--env", "/nowhere/settings.env", "doctor")
    assert (done.returncode, done.stdout) == (2, "")
    assert "/nowhere/settings.env" in done.stderr
    assert "No such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_settings_at_all_is_2_with_all_named() -> None:
    done = _python_m_jml("doctor")
    assert (done.returncode, done.stdout) == (2, "")
    assert "JML_MSSP_TENANT_ID is missing" in done.stderr
    assert "JML_POLICY is missing" in done.stderr
    assert "Traceback" not in done.stderr
