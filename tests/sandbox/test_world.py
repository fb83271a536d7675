"""World files: what they may say, and that every mistake is named at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from jml.permissions import GRANTS
from sandbox.errors import WorldError
from sandbox.graph.seed import seeded
from sandbox.world import load_world, parse_world
from sandbox.worlds import schema
from sandbox.worlds.generate import large, shuffle

DEMO = Path(schema.__file__).parent / "demo.yaml"


def tenant(**sections: Any) -> dict[str, Any]:
    return {"tenants": {"mssp": {"display_name": "M", "domain": "m.example", **sections}}}


def mistakes(data: Any) -> list[str]:
    with pytest.raises(WorldError) as caught:
        parse_world(data)
    return caught.value.mistakes


def test_the_demo_world_loads_with_the_grants_it_leaves_out() -> None:
    world = load_world(DEMO, GRANTS)
    jml = world.applications["jml"]
    assert jml.grants["corporate"] == GRANTS["corporate"]
    assert jml.grants["fabrikam"] == GRANTS["customer"]
    assert jml.object_id("mssp") != jml.object_id("corporate")
    assert world.tenants["mssp"].users[-1]["id"] == "00000000-0000-4000-8000-0000000b4ea6"


def test_ids_left_out_are_the_same_every_time() -> None:
    first, second = load_world(DEMO), load_world(DEMO)
    assert first == second
    assert first.tenants["mssp"].id != first.tenants["corporate"].id


def test_every_mistake_is_named_with_its_path() -> None:
    found = mistakes(
        tenant(
            users=[
                {"displayName": "A", "userPrincipalName": "a@m.example", "acountEnabled": True},
                {"displayName": "B", "userPrincipalName": "b@m.example", "accountEnabled": "yes"},
                {"displayName": "", "userPrincipalName": "B@m.example"},
            ],
            groups=[{"displayName": "G", "members": ["nobody"], "isFunny": True}],
            role_assignments=[{"principal": "a", "role": "King"}],
            group_eligibilities=[{"principal": "a", "group": "G"}],
            authentication_methods={"a": [{"kind": "pigeon"}]},
        )
    )
    told = "\n".join(found)
    for expected in (
        "tenants.mssp.users.0.acountEnabled: Property 'acountEnabled' does not exist",
        "tenants.mssp.users.1.accountEnabled: Invalid value",
        "tenants.mssp.users.2.displayName: a name is required",
        "tenants.mssp.users: 2 users have the userPrincipalName 'b@m.example'",
        "tenants.mssp.groups.0.isFunny",
        "tenants.mssp.groups.0.members: 'nobody' names none",
        "tenants.mssp.role_assignments.0.role: 'King'",
        "tenants.mssp.group_eligibilities.0.group: 'G' is not onboarded",
        "tenants.mssp.authentication_methods.a.0.kind",
    ):
        assert expected in told


def test_unknown_words_and_wrong_types_are_named_together() -> None:
    found = mistakes({"tenants": {"mssp": {"domain": 5, "uzers": []}}, "settings": {"throttle_scale": 0}})
    assert [one.split(":")[0] for one in found] == [
        "settings.throttle_scale",
        "tenants.mssp.display_name",
        "tenants.mssp.domain",
        "tenants.mssp.uzers",
    ]


def test_an_ambiguous_name_is_a_mistake() -> None:
    twins = [{"displayName": "Twin", "userPrincipalName": f"twin{at}@m.example"} for at in (1, 2)]
    found = mistakes(tenant(users=twins, groups=[{"displayName": "G", "members": ["Twin", "twin1"]}]))
    assert len(found) == 1
    assert found[0].startswith("tenants.mssp.groups.0.members: 'Twin' names 2 of the users or groups")


@pytest.mark.parametrize("text", ["{", "a: [", "\x00", "- just\n- a list\n"])
def test_a_file_that_is_no_world_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "world.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(WorldError):
        load_world(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match=r"absent\.yaml"):
        load_world(tmp_path / "absent.yaml")


def test_dates_need_no_quotes(tmp_path: Path) -> None:
    path = tmp_path / "world.yaml"
    user = "{displayName: A, userPrincipalName: a@m.example, employeeLeaveDateTime: 2030-01-02T03:04:05Z}"
    path.write_text(f"tenants: {{mssp: {{display_name: M, domain: m.example, users: [{user}]}}}}", encoding="utf-8")
    assert load_world(path).tenants["mssp"].users[0]["employeeLeaveDateTime"] == "2030-01-02T03:04:05Z"


def test_the_json_schema_is_current() -> None:
    assert schema.SCHEMA.read_text(encoding="utf-8") == schema.text(), "run python -m sandbox.worlds.schema"


def test_the_demo_world_and_generated_ones_fit_the_json_schema() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(schema.text()))
    for data in (yaml.safe_load(DEMO.read_text(encoding="utf-8")), shuffle(1), large(3, 1)):
        assert [error.message for error in validator.iter_errors(data)] == []


@pytest.mark.parametrize("seed", range(12))
def test_a_shuffled_world_is_whole_and_the_same_each_time(seed: int) -> None:
    data = shuffle(seed)
    assert data == shuffle(seed)
    world = parse_world(data, GRANTS)
    directory = seeded(world, "mssp")
    scenario = data["x_scenario"]
    assert len(scenario["leaver"]["accounts"]) == 2
    assert scenario["unlinked"]["person"] not in scenario["links"]
    assert scenario["deleted"]["person"] in seeded(world, "corporate")["deletedUsers"].rows
    for accounts in scenario["links"].values():
        assert all(directory["users"].get(account) for account in accounts)


def test_a_large_world_names_each_person_once() -> None:
    world = parse_world(large(2000, 20), GRANTS)
    assert len(seeded(world, "corporate")["users"].rows) == 2001
    assert len(world.x_scenario["links"]) == 20
