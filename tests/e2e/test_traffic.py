"""Recorded traffic is held against Microsoft's metadata at the end of each session; here, that the check checks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import CHECKER, Open
from tests.e2e.scenario import Scenario
from tests.e2e.worlds import person_of, team

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not CHECKER.exists(), reason=f"Microsoft's metadata is not beside the project ({CHECKER})"),
]
ANN = person_of("ann")


@pytest.fixture(scope="module")
def scenario(open_cloud: Open) -> Scenario:
    found = open_cloud(team("ann"))
    found.link({ANN.id: [ANN.account]})
    found.leave(ANN.id)
    return found


def _checked(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, CHECKER, path], capture_output=True, text=True, check=False)


def test_a_leavers_traffic_has_no_violation(scenario: Scenario) -> None:
    checked = _checked(scenario.running.record)
    assert checked.stdout.rstrip().endswith(" 0 violations")
    assert checked.returncode == 0


def test_a_property_that_graph_does_not_have_is_a_violation(scenario: Scenario, tmp_path: Path) -> None:
    row = next(row for row in scenario.traffic() if row["method"] == "PATCH")
    path = tmp_path / "forged.jsonl"
    path.write_text(json.dumps({**row, "request": {"leaveDate": "2026-01-01"}}) + "\n", encoding="utf-8")
    assert _checked(path).returncode == 1
