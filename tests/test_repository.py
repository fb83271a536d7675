"""What the repository says of itself is true."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from jml import outcomes
from jml.permissions import TABLES, markdown
from jml.policy import Policy
from shared.policyfile import load_policy
from shared.settings import load_settings

ROOT = Path(__file__).parent.parent


def test_permissions_page_is_what_the_table_says() -> None:
    assert (ROOT / "docs/permissions.md").read_text().rstrip("\n") == markdown()


def test_outcomes_page_is_what_the_code_does() -> None:
    assert (ROOT / "docs/outcomes.md").read_text().rstrip("\n") == outcomes.markdown()


def test_the_custom_roles_of_the_proof_page_read_and_add_and_do_nothing_else() -> None:
    page = (ROOT / "docs/proof.md").read_text()
    roles = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    assert [role["Name"] for role in roles] == ["JML Ledger Writer", "JML Checkpoint Writer", "JML Checkpoint Signer"]
    for role in roles:
        assert role["Actions"] == []
        assert all(action.endswith(("/read", "/add/action", "/sign/action")) for action in role["DataActions"])
        assert f"| {role['Name']} |" in markdown()
    assert page.count(f"for table in {' '.join(TABLES)}") == 2


def test_policy_schema_is_what_the_model_says() -> None:
    assert json.loads((ROOT / "policy.schema.json").read_text()) == Policy.model_json_schema()


def test_sample_policy_is_a_policy() -> None:
    assert load_policy(ROOT / "policy.sample.yaml", Policy).version == 1


def test_sample_settings_name_every_setting_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its placeholders filled in, the sample is all that the app needs to start."""
    monkeypatch.chdir(ROOT)
    values = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    filled = {
        name: "00000000-0000-4000-8000-000000000001" if value.startswith("<") and value.endswith(">") else value
        for name, value in values.items()
    }
    load_settings(filled)
    host = {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage", "PYTHON_ENABLE_OPENTELEMETRY"}
    assert {name for name in values if not name.startswith("JML_")} == host


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_requirements_are_pinned(name: str) -> None:
    lines = [line for line in (ROOT / name).read_text().splitlines() if re.match(r"^\w", line)]
    assert lines
    assert [line for line in lines if "==" not in line] == []


def test_every_runtime_dependency_has_its_reason() -> None:
    lines = [line for line in (ROOT / "requirements.in").read_text().splitlines() if line and line[0] != "#"]
    assert [line for line in lines if "#" not in line] == []


def test_readme_names_only_commands_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z-]+)", (ROOT / "README.md").read_text()))
    assert named <= targets


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/**/*.md")), ids=lambda p: p.name)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []
