"""Policy files: every mistake at once, with its line and its path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jml.people import Cause
from jml.policy import Policy
from shared.errors import InvalidConfiguration
from shared.policyfile import load_policy

ROOT = Path(__file__).parents[2]
SMALL = "version: 1\nscope: [{department: [SOC]}]\nleaver: {}\n"


def policy_of(tmp_path: Path, text: str) -> Policy:
    path = tmp_path / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return load_policy(path, Policy)


def problems_of(tmp_path: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(InvalidConfiguration) as caught:
        policy_of(tmp_path, text)
    assert str(caught.value).count("\n  - ") == len(caught.value.problems)
    return caught.value.problems


def test_the_sample_policy_is_valid() -> None:
    policy = load_policy(ROOT / "policy.sample.yaml", Policy)
    assert policy.in_scope({"department": "security operations"})
    assert not policy.in_scope({"department": "Retail"})


def test_the_schema_for_editors_is_that_of_the_code() -> None:
    """`python -m jml policy-schema > policy.schema.json` makes it current again."""
    assert json.loads((ROOT / "policy.schema.json").read_text(encoding="utf-8")) == Policy.model_json_schema()


def test_what_a_small_policy_leaves_out_has_the_documented_values(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, SMALL)
    assert policy.leaver.objective.total_seconds() == 3600
    assert policy.leaver.retention.period.days == 30
    assert policy.causes == {Cause.DISABLED, Cause.OUT_OF_SCOPE}
    assert policy.protected_accounts == frozenset()
    assert policy.date_rule is None


BAD = """\
version: 2
scope:
  - {}
  - department: SOC
  - departmnt: [SOC]
leaver:
  date_only:
    time: "25:00"
    zone: Middle/Earth
  also_when: [bored]
  canary: { person: nobody, leave_date: 2099-12-31T00:00:00 }
  window: { lookback: -P1D }
  objective: one hour
  retention: { mark: extensionAttribute1 }
  backlog_after:
protected: { accounts: [break-glass] }
residual_access: []
limits:
  accounts_per_person: 0
  poll: soon
surprise: true
"""

EXPECTED = {
    "version": 1,
    "scope": 2,  # of which nothing is left
    "scope.0": 3,
    "scope.1.department": 4,
    "scope.2.departmnt": 5,
    "leaver.date_only.time": 8,
    "leaver.date_only.zone": 9,
    "leaver.also_when.0": 10,
    "leaver.canary.person": 11,
    "leaver.canary.leave_date": 11,
    "leaver.window.lookback": 12,
    "leaver.objective": 13,
    "leaver.retention.mark": 14,
    "leaver.backlog_after": 15,
    "protected.accounts.0": 16,
    "residual_access": 17,
    "limits.accounts_per_person": 19,
    "limits.poll": 20,
    "surprise": 21,
}


def test_every_mistake_is_named_at_once_with_its_line_and_path(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, BAD)
    for path, line in EXPECTED.items():
        assert any(one.startswith(f"line {line}: {path}: ") for one in problems), (path, line, problems)
    assert len(problems) == len(EXPECTED)


@pytest.mark.parametrize(
    ("text", "line", "path"),
    [
        ("scope: [{department: [SOC]}]\nleaver: {}\n", 1, "version"),
        ("version: 1\nleaver: {}\n", 1, "scope"),
        ("version: 1\nscope: []\nleaver: {}\n", 2, "scope"),
        ("version: 1\nscope: [{department: [SOC]}]\n", 1, "leaver"),
        (
            "version: 1\nscope: [{department: [SOC]}]\nleaver:\n  canary:\n    person: null\n",
            4,
            "leaver.canary.leave_date",
        ),
        (SMALL + "leaver: {}\n", 4, "leaver"),
    ],
    ids=["version", "scope", "empty scope", "leaver", "canary", "twice"],
)
def test_what_is_missing_or_twice_is_named_where_it_should_stand(
    tmp_path: Path, text: str, line: int, path: str
) -> None:
    assert any(one.startswith(f"line {line}: {path}: ") for one in problems_of(tmp_path, text))


def test_a_key_that_stands_twice_deep_inside_is_found_too(tmp_path: Path) -> None:
    text = SMALL.replace("leaver: {}", "leaver:\n  objective: PT1H\n  objective: PT9H")
    assert problems_of(tmp_path, text) == ("line 5: objective: stands here a second time",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a list\n",
        "just text",
        "42",
        "null",
        "version: [1\n",
        "a: b: c\n",
        "\t- x",
        "!!python/object:os.system {}",
    ],
)
def test_what_is_no_mapping_or_no_yaml_is_said_so(tmp_path: Path, text: str) -> None:
    [problem] = problems_of(tmp_path, text)
    assert "the whole file" in problem or "is no YAML" in problem


def test_bytes_that_are_no_text_are_said_so(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidConfiguration, match="cannot be read"):
        load_policy(path, Policy)


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="cannot be read"):
        load_policy(tmp_path / "none.yaml", Policy)


def test_an_empty_scope_rule_would_take_everybody_and_is_refused(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, SMALL.replace("[{department: [SOC]}]", "[{department: []}, {department: [SOC]}]"))
    assert "takes everybody" in problem


def test_a_time_with_a_zone_of_its_own_is_refused(tmp_path: Path) -> None:
    text = SMALL.replace("leaver: {}", 'leaver: {date_only: {time: "18:00+02:00", zone: Europe/Zurich}}')
    [problem] = problems_of(tmp_path, text)
    assert "without a zone" in problem


@pytest.mark.parametrize(
    ("attributes", "taken"),
    [
        ({"department": "soc", "jobTitle": "Analyst"}, True),
        ({"department": "SOC"}, False),
        ({"jobTitle": "Analyst"}, False),
        ({"companyName": "Contoso"}, True),
        ({}, False),
        ({"department": ""}, False),
    ],
)
def test_a_rule_takes_whom_all_its_attributes_fit_and_any_rule_is_enough(
    tmp_path: Path, attributes: dict[str, str], *, taken: bool
) -> None:
    scope = "[{department: [SOC], jobTitle: [Analyst]}, {companyName: [contoso]}]"
    policy = policy_of(tmp_path, SMALL.replace("[{department: [SOC]}]", scope))
    assert policy.in_scope(attributes) is taken
