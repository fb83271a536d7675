"""`verify-evidence` with files: of everything that the checkpoints hold, decisions too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from jml.held import HoldRows
from jml.verification import Request, verify
from shared.authorisation import Caller, Role
from shared.ledger import Ledger
from tests.fakes.checkpoints import private_key
from tests.fakes.stage import LEFT, Stage, policy_with

PEOPLE = ("alexw", "meganb")
APPROVER = Caller("99999999-0000-4000-8000-000000000009", frozenset({Role.APPROVER}))
OPERATOR = Caller("88888888-0000-4000-8000-000000000008", frozenset({Role.OPERATOR}))
Documents = dict[str, dict[str, Any]]


@pytest.fixture
async def stage() -> Stage:
    """Two people were held and released, and a third person's termination was ordered and revoked."""
    made = Stage(policy=policy_with(limits={"poll": "PT2S", "missing": 1, "breaker": {"count": 1, "share": 1}}))
    for person, accounts in made.world.x_scenario["links"].items():
        await made.link(person, *accounts)
    for person in PEOPLE:
        made.hr(person, employeeLeaveDateTime=LEFT)
    await made.notice()
    [hold], _ = await HoldRows(made.tables).page({}, 10, None)
    await made.services.holds.release(hold.id, hold.digest, APPROVER)
    await made.services.release.run()
    await made.work()
    await made.services.terminations.order(made.person("isaiahl"), OPERATOR)
    await made.services.terminations.revoke(made.person("isaiahl"), OPERATOR)
    await made.work()
    await made.services.proof.write()
    return made


async def everything(stage: Stage) -> Documents:
    """Evidence of each run, each hold as it is shown, and of other decisions what the command `ledger` prints."""
    found = {run.id: await stage.evidence(run.id) for run in await stage.runs()}
    holds, _ = await HoldRows(stage.tables).page({}, 10, None)
    found |= {hold.id: await stage.services.reports.hold(hold.id) for hold in holds}
    for one in {partition for partition, _ in stage.tables.rows["ledger"]} - found.keys():
        rows = (await Ledger.load(stage.tables, one)).rows
        found[one] = {"rows": [row.document() for row in rows]}
    return found


async def verified(stage: Stage, documents: Documents, path: Path) -> int:
    folder, key = path / "checkpoints", path / "key.pem"
    folder.mkdir()
    for name, content in stage.container.blobs.items():
        (folder / name).write_bytes(content)
    key.write_bytes(private_key("own").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    files = []
    for name, document in documents.items():
        files.append(path / f"{name}.json")
        files[-1].write_text(json.dumps(document))
    return await verify(Request(tuple(files), checkpoints=str(folder), keys=(key,), complete=True))


async def test_files_of_all_runs_and_all_decisions_are_complete(stage: Stage, tmp_path: Path) -> None:
    documents = await everything(stage)
    kinds = {document["rows"][0]["data"]["type"] for document in documents.values()}
    assert kinds == {"jml.leaver", "jml.hold", "jml.termination"}
    assert await verified(stage, documents, tmp_path) == 0


async def test_each_missing_file_is_named(stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    documents = await everything(stage)
    for at, name in enumerate(documents):
        rest = {one: document for one, document in documents.items() if one != name}
        (place := tmp_path / str(at)).mkdir()
        assert await verified(stage, rest, place) == 1
        assert f"ledger {name}  is missing: checkpoint " in capsys.readouterr().out


async def test_a_decision_that_was_changed_is_not_what_was_written(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    documents = await everything(stage)
    decision, *_ = [one for one in documents.values() if one["rows"][0]["data"]["type"] == "jml.termination"]
    decision["rows"][0]["data"]["by"] = APPROVER.object_id
    assert await verified(stage, documents, tmp_path) == 1
    assert "row 0: its content was changed after it was written" in capsys.readouterr().out
