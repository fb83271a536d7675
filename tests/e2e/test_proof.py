"""Proof, end to end: evidence is anchored, and what somebody does with the storage account's own key is found."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.data.tables import TableClient
from azure.storage.blob import ContainerClient
from cryptography.hazmat.primitives import serialization

from jml.permissions import TABLES
from sandbox.functions_process import ROOT
from tests.e2e.conftest import Open
from tests.e2e.scenario import Document, Scenario
from tests.e2e.worlds import person_of, team

pytestmark = pytest.mark.e2e
ACCOUNT = "devstoreaccount1"
ANN, BOB = person_of("ann"), person_of("bob")
MAILED = {"displayName": "Alerts", "mailEnabled": True, "securityEnabled": True, "members": [ANN.account]}
KINDS = ["opened", "planned", "left", "intent", "attempted", "verified", "closed"]


@pytest.fixture(scope="module")
def scenario(open_cloud: Open) -> Scenario:
    """Two people have left, and one thing of the first stays; the timer has written its checkpoints."""
    made = open_cloud(team("ann", "bob", mssp={"groups": [MAILED]}))
    made.link({ANN.id: [ANN.account], BOB.id: [BOB.account]})
    made.leave(ANN.id, BOB.id)
    made.control("POST", "/timers/commercial/write_checkpoints")
    return made


@pytest.fixture(scope="module")
def run(scenario: Scenario) -> str:
    return str(scenario.runs(person=ANN.id)[-1]["id"])


@pytest.fixture(scope="module")
def number(scenario: Scenario, run: str) -> int:
    """Of the checkpoint that holds the run: two runs that end together may be in one or in two."""
    return int(scenario.evidence(run)["chain"]["anchor"]["number"])


@pytest.fixture(scope="module")
def ledger(scenario: Scenario) -> Iterator[TableClient]:
    """The table, by the account's key: whoever has that may do anything."""
    azurite = scenario.cloud.azurite
    owner = AzureNamedKeyCredential(ACCOUNT, azurite.keys[ACCOUNT])
    verify = scenario.settings["SSL_CERT_FILE"]
    endpoint = azurite.endpoint("Table", ACCOUNT)
    with TableClient(endpoint, "ledger", credential=owner, connection_verify=verify) as client:
        yield client


@pytest.fixture(scope="module")
def checkpoints(scenario: Scenario) -> Iterator[ContainerClient]:
    """The container, by the account's key: in Azure its retention policy would refuse even that."""
    azurite = scenario.cloud.azurite
    owner = AzureNamedKeyCredential(ACCOUNT, azurite.keys[ACCOUNT])
    url, verify = scenario.settings["JML_CHECKPOINTS_CONTAINER"], scenario.settings["SSL_CERT_FILE"]
    with ContainerClient.from_container_url(url, credential=owner, connection_verify=verify) as client:
        yield client


def rows_of(ledger: TableClient, run: str) -> list[dict[str, Any]]:
    return [dict(row) for row in ledger.query_entities("PartitionKey eq @run", parameters={"run": run})]


@contextmanager
def put_back(ledger: TableClient, rows: list[dict[str, Any]]) -> Iterator[None]:
    """Whatever is done to these rows inside is undone after."""
    try:
        yield
    finally:
        for row in rows:
            ledger.upsert_entity(row)


def findings(scenario: Scenario) -> list[str]:
    """What `verify-evidence --all` finds: empty when all is well."""
    done = scenario.command("verify-evidence", "--all")
    lines = done.out.splitlines()
    assert done.code == (1 if len(lines) > 1 else 0), done
    return [" ".join(line.split()) for line in lines if line.startswith(("ledger", "checkpoint"))]


def test_the_whole_ledger_is_good(scenario: Scenario) -> None:
    done = scenario.command("verify-evidence", "--all")
    assert (done.code, done.out.count("\n")) == (0, 1), done
    assert "0 not yet, 0 open" in done.out
    assert "0 findings" in done.out


def test_no_table_is_used_but_those_that_the_roles_name(scenario: Scenario) -> None:
    assert set(scenario.tables()) <= {*TABLES, "ledger"}


def test_evidence_is_anchored_and_verified_by_the_deployments_own_checkpoints(
    scenario: Scenario, run: str, number: int
) -> None:
    document = scenario.evidence(run)
    assert document["chain"]["anchor"]["key"].startswith(scenario.settings["JML_CHECKPOINT_VAULT_KEY"])
    path = scenario.file("anchored.json", json.dumps(document))
    done = scenario.command("verify-evidence", path, "--checkpoints", "deployment")
    assert done.code == 0, done
    assert f"anchored by checkpoint {number} of " in done.out


@pytest.fixture(scope="module")
def downloads(scenario: Scenario, run: str, checkpoints: ContainerClient) -> dict[str, Any]:
    """What an auditor has who cannot reach the deployment: checkpoints in a folder, the public key, evidence."""
    folder = scenario.running.directory / "checkpoints"
    folder.mkdir()
    for name in checkpoints.list_blob_names():
        (folder / name).write_bytes(checkpoints.download_blob(name).readall())
    public = scenario.cloud.vaults["commercial"].public_key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return {
        "folder": folder,
        "key": scenario.file("key.pem", public.decode()),
        "evidence": scenario.file("evidence.json", json.dumps(scenario.evidence(run))),
    }


def test_an_auditor_with_files_alone_verifies_all_of_it(
    scenario: Scenario, downloads: dict[str, Any], number: int
) -> None:
    evidence, key, folder = downloads["evidence"], downloads["key"], downloads["folder"]
    alone = scenario.command("verify-evidence", evidence, env=False)
    assert (alone.code, "its signature NOT checked" in alone.out) == (0, True)
    with_key = scenario.command("verify-evidence", evidence, "--key", key, env=False)
    assert (with_key.code, f"anchored by checkpoint {number} (signed)" in with_key.out) == (0, True)
    arguments = ("verify-evidence", evidence, "--key", key, "--checkpoints", folder)
    assert scenario.command(*arguments, env=False).code == 0
    missing = scenario.command(*arguments, "--complete", env=False)
    assert missing.code == 1
    other = scenario.runs(person=BOB.id)[-1]["id"]
    assert f"ledger {other}  is missing: checkpoint" in missing.out


@pytest.mark.skipif(not (shutil.which("jq") and shutil.which("openssl")), reason="needs jq and openssl")
def test_anybody_can_check_a_checkpoint_with_jq_and_openssl(scenario: Scenario, downloads: dict[str, Any]) -> None:
    """The lines of docs/proof.md, as they stand there."""
    page = (ROOT / "docs/proof.md").read_text()
    lines = re.findall(r"^    ((?:jq|openssl) .*)$", page, re.MULTILINE)
    assert len(lines) == 3
    script = "\n".join(lines).replace("0000000007.json", "checkpoints/0000000001.json").replace("public.pem", "key.pem")
    where = scenario.running.directory
    done = subprocess.run(["bash", "-ec", script], cwd=where, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "Verified OK\n"), done.stderr


def test_evidence_that_was_made_up_is_not_among_the_checkpoints(scenario: Scenario, downloads: dict[str, Any]) -> None:
    document: Document = json.loads(downloads["evidence"].read_text())
    signature = document["chain"]["anchor"]["signature"]
    forged = base64.urlsafe_b64encode(bytes(256)).decode().rstrip("=")
    path = scenario.file("forged.json", json.dumps(document).replace(signature, forged))
    done = scenario.command("verify-evidence", path, "--key", downloads["key"], env=False)
    assert (done.code, "carries a signature that does not fit its content" in done.out) == (1, True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_that_was_changed_is_named_with_its_run(
    scenario: Scenario, ledger: TableClient, run: str, kind: str
) -> None:
    row = next(row for row in rows_of(ledger, run) if row["kind"] == kind)
    with put_back(ledger, [row]):
        ledger.upsert_entity({**row, "data": row["data"].replace("{", '{"note":"all is well",', 1)})
        [finding] = findings(scenario)
    assert finding.split(maxsplit=2)[:2] == ["ledger", run]
    assert f"row {int(row['RowKey'])}: its content was changed after it was written" in finding


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_that_was_deleted_is_named_with_its_run(
    scenario: Scenario, ledger: TableClient, run: str, number: int, kind: str
) -> None:
    rows = rows_of(ledger, run)
    row = next(row for row in rows if row["kind"] == kind)
    with put_back(ledger, [row]):
        ledger.delete_entity(row["PartitionKey"], row["RowKey"])
        found = "\n".join(findings(scenario))
    assert f"ledger {run} has {len(rows) - 1} rows: checkpoint {number} says {len(rows)}" in found
    if kind == "closed":
        assert "its tail was cut" in found
    else:
        assert f"row {int(row['RowKey'])} was expected here: a row was dropped, added or moved" in found


def test_a_run_that_was_deleted_whole_is_named(scenario: Scenario, ledger: TableClient, run: str, number: int) -> None:
    rows = rows_of(ledger, run)
    with put_back(ledger, rows):
        for row in rows:
            ledger.delete_entity(row["PartitionKey"], row["RowKey"])
        assert findings(scenario) == [f"ledger {run} is missing: checkpoint {number} holds it with {len(rows)} rows"]


def test_what_was_put_back_is_good_again(scenario: Scenario) -> None:
    assert findings(scenario) == []


def test_a_checkpoint_that_was_forged_or_taken_away_is_named(scenario: Scenario, checkpoints: ContainerClient) -> None:
    [name, *_] = sorted(checkpoints.list_blob_names())
    content = checkpoints.download_blob(name).readall()
    document = json.loads(content)
    document["checkpoint"]["heads"] = []
    checkpoints.upload_blob(name, json.dumps(document), overwrite=True)
    assert "checkpoint 1 carries a signature that does not fit its content" in findings(scenario)
    checkpoints.delete_blob(name)
    assert any("was held by checkpoint 1, which is missing or another now" in one for one in findings(scenario))
    checkpoints.upload_blob(name, content)
    assert findings(scenario) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "either files of evidence or --all was expected"),
        (("x.json", "--all"), "either files of evidence or --all was expected"),
        (("x.json", "--complete"), "--complete: needs files and --checkpoints"),
        (("x.json", "--key", "none.pem"), "--key: key none.pem"),
        (("x.json", "--key", "{key}", "--checkpoints", "/no/such"), "--checkpoints /no/such: a folder was expected"),
    ],
)
def test_what_does_not_go_together_is_2_and_said(
    scenario: Scenario, downloads: dict[str, Any], arguments: tuple[str, ...], says: str
) -> None:
    given = [str(downloads["key"]) if one == "{key}" else one for one in arguments]
    done = scenario.command("verify-evidence", *given, env=False)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
