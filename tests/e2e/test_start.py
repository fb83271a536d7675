"""A Functions process whose settings or policy are wrong does not start, and says all that is wrong at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from sandbox.functions_process import ROOT
from shared.settings import load_settings
from tests.e2e.worlds import write_policy

pytestmark = pytest.mark.e2e
ID = "11111111-2222-4333-8444-555555555555"
GOOD = {
    "JML_DEPLOYMENT": "commercial",
    "JML_LOGIN_ENDPOINT": "https://localhost:1",
    "JML_GRAPH_ENDPOINT": "https://localhost:1",
    "JML_CORPORATE_TENANT_ID": ID,
    "JML_MSSP_TENANT_ID": ID,
    "JML_CLIENT_ID": ID,
    "JML_MANAGED_IDENTITY_CLIENT_ID": ID,
    "JML_TOKEN_EXCHANGE_SCOPE": "api://AzureADTokenExchange/.default",
    "JML_TABLES_ENDPOINT": "https://localhost:1/devstoreaccount1",
    "JML_API_AUDIENCE": "00000000-0000-4000-8000-00000000a0d1",
    "JML_SWEEP_SCHEDULE": "0 */15 * * * *",
    "JML_RELEASE_SCHEDULE": "0 * * * * *",
    "JML_CHECKPOINT_SCHEDULE": "30 * * * * *",
    "JML_CHECKPOINTS_CONTAINER": "https://localhost:1/checkpoints",
    "JML_CHECKPOINT_VAULT_KEY": "https://localhost:1/keys/checkpoints",
    "JML_CHECKPOINT_VAULT_SCOPE": "https://vault.azure.net/.default",
    "JML_SERVICEBUS": "Endpoint=sb://localhost;SharedAccessKeyName=a;SharedAccessKey=b;UseDevelopmentEmulator=true;",
}
BAD = {
    "JML_DEPLOYMENT": "production",
    "JML_LOGIN_ENDPOINT": "http://localhost:1",
    "JML_CORPORATE_TENANT_ID": "contoso.example",
    "JML_SWEEP_SCHEDULE": "every quarter of an hour",
    "JML_SERVICEBUS__fullyQualifiedNamespace": "both.servicebus.windows.net",
}
POLICY = """\
version: 2
scope:
  - department: [Security Operations]
    departement: [Sales]
  - {}
leaver:
  date_only: { time: "25:00", zone: Europe/Zürich }
  also_when: [bored]
  retention: { period: a month, mark: extensionAttribute1 }
protected: { accounts: [break-glass] }
limits: { accounts_per_person: 0, poll: -PT1S }
limits: {}
"""
POLICY_PROBLEMS = (
    "line 1: version",
    "line 4: scope.0.departement",
    "line 5: scope.1",
    "line 7: leaver.date_only.time",
    "line 7: leaver.date_only.zone",
    "line 8: leaver.also_when",
    "line 9: leaver.retention.period",
    "line 9: leaver.retention.mark",
    "line 10: protected.accounts",
    "line 12: limits: stands here a second time",
)


def _start(settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """The host process, as the sandbox starts it."""
    return subprocess.run(
        [sys.executable, "-m", "sandbox.functions_host", "--app", ROOT],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_missing_setting_is_named_at_once() -> None:
    ended = _start({})
    assert (ended.returncode, ended.stdout) == (1, "")
    for name in (*GOOD, "JML_POLICY"):
        assert name in ended.stderr
    assert "is missing: " in ended.stderr


def test_every_wrong_setting_and_every_mistake_of_the_policy_is_named_at_once(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY, encoding="utf-8")
    ended = _start({**GOOD, **BAD, "JML_POLICY": str(policy)})
    assert (ended.returncode, ended.stdout) == (1, "")
    for name in BAD:
        assert name in ended.stderr
    for problem in POLICY_PROBLEMS:
        assert problem in ended.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "line 1: the whole file"), ("scope: [", "is no YAML"), ("- version: 1\n", "line 1: the whole file")],
)
def test_a_policy_that_is_none_stops_the_start(tmp_path: Path, text: str, says: str) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(text, encoding="utf-8")
    ended = _start({**GOOD, "JML_POLICY": str(policy)})
    assert (ended.returncode, ended.stdout) == (1, "")
    assert str(policy) in ended.stderr
    assert says in ended.stderr


def test_the_good_settings_are_good(tmp_path: Path) -> None:
    """Or the other tests would show nothing."""
    policy = write_policy(tmp_path / "policy.yaml")
    assert load_settings({**GOOD, "JML_POLICY": str(policy)}).policy == policy
