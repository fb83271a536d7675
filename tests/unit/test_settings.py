"""Settings fail at the start, all at once, by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import InvalidConfiguration
from shared.settings import Deployment, load_settings

GUID = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    policy = tmp_path / "policy.yaml"
    policy.touch()
    key = tmp_path / "key.pem"
    key.write_text("-----BEGIN PRIVATE KEY-----\n")
    return {
        "JML_DEPLOYMENT": "commercial",
        "JML_POLICY": str(policy),
        "JML_LOGIN_ENDPOINT": "https://login.example/",
        "JML_GRAPH_ENDPOINT": "https://graph.example",
        "JML_CORPORATE_TENANT_ID": GUID,
        "JML_MSSP_TENANT_ID": GUID,
        "JML_CLIENT_ID": GUID,
        "JML_MANAGED_IDENTITY_CLIENT_ID": GUID,
        "JML_TOKEN_EXCHANGE_SCOPE": "api://AzureADTokenExchange/.default",
        "JML_TABLES_ENDPOINT": "https://tables.example/",
        "JML_API_AUDIENCE": "00000000-0000-4000-8000-00000000a0d1",
        "JML_SWEEP_SCHEDULE": "0 */15 * * * *",
        "JML_RELEASE_SCHEDULE": "0 * * * * *",
        "JML_CHECKPOINT_SCHEDULE": "30 * * * * *",
        "JML_CHECKPOINTS_CONTAINER": "https://blobs.example/checkpoints",
        "JML_CHECKPOINT_KEY_FILE": str(key),
        "JML_SERVICEBUS": "Endpoint=sb://bus.example;",
    }


def test_complete_settings_are_read_and_endpoints_end_without_a_slash(environment: dict[str, str]) -> None:
    settings = load_settings(environment)
    assert settings.deployment is Deployment.COMMERCIAL
    assert settings.login_endpoint == "https://login.example"
    assert settings.bus.connection_string


def test_an_empty_environment_names_every_setting_at_once(environment: dict[str, str]) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        load_settings({})
    assert len(caught.value.problems) == len(environment)
    for name in environment:
        assert any(name in problem for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JML_DEPLOYMENT", "staging"),
        ("JML_POLICY", "/no/such/file"),
        ("JML_LOGIN_ENDPOINT", "http://login.example"),
        ("JML_GRAPH_ENDPOINT", "graph.example"),
        ("JML_TABLES_ENDPOINT", "https://"),
        ("JML_CORPORATE_TENANT_ID", "contoso.example"),
        ("JML_MSSP_TENANT_ID", GUID.replace("1", "A")),
        ("JML_CLIENT_ID", f"{GUID}0"),
        ("JML_MANAGED_IDENTITY_CLIENT_ID", "   "),
        ("JML_SWEEP_SCHEDULE", "*/15 * * * *"),
        ("JML_API_AUDIENCE", ""),
        ("JML_CHECKPOINT_SCHEDULE", "hourly"),
        ("JML_CHECKPOINTS_CONTAINER", "https://blobs.example"),
        ("JML_CHECKPOINTS_CONTAINER", "http://blobs.example/checkpoints"),
        ("JML_CHECKPOINT_KEY_FILE", "/no/such/key.pem"),
    ],
)
def test_a_setting_that_is_wrong_is_named_with_what_was_expected(
    environment: dict[str, str], name: str, value: str
) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        load_settings({**environment, name: value})
    [problem] = caught.value.problems
    assert problem.startswith(name)
    assert "was expected" in problem


def test_several_wrong_settings_are_all_named(environment: dict[str, str]) -> None:
    wrong = {"JML_DEPLOYMENT": "x", "JML_CLIENT_ID": "x", "JML_SERVICEBUS": ""}
    with pytest.raises(InvalidConfiguration) as caught:
        load_settings({**environment, **wrong})
    assert len(caught.value.problems) == 3


def test_service_bus_is_named_by_namespace_or_by_connection_string_but_not_both(environment: dict[str, str]) -> None:
    namespace = {"JML_SERVICEBUS__fullyQualifiedNamespace": "bus.example"}
    with pytest.raises(InvalidConfiguration, match="exactly one"):
        load_settings({**environment, **namespace})
    del environment["JML_SERVICEBUS"]
    assert load_settings({**environment, **namespace}).bus.namespace == "bus.example"


VAULT_KEY = "https://vault.example/keys/checkpoints"
SCOPE = "https://vault.azure.net/.default"


def test_checkpoints_are_signed_by_a_vault_or_by_a_file_but_not_both(environment: dict[str, str]) -> None:
    vault = {"JML_CHECKPOINT_VAULT_KEY": VAULT_KEY, "JML_CHECKPOINT_VAULT_SCOPE": SCOPE}
    for wrong in ({**environment, **vault}, {n: v for n, v in environment.items() if n != "JML_CHECKPOINT_KEY_FILE"}):
        with pytest.raises(InvalidConfiguration) as caught:
            load_settings(wrong)
        [problem] = caught.value.problems
        assert "exactly one of JML_CHECKPOINT_VAULT_KEY" in problem
        assert "JML_CHECKPOINT_KEY_FILE" in problem
    del environment["JML_CHECKPOINT_KEY_FILE"]
    signing = load_settings({**environment, **vault}).signing
    assert (signing.vault_key, signing.vault_scope, signing.key_file) == (VAULT_KEY, SCOPE, None)


@pytest.mark.parametrize(
    ("key", "scope"),
    [
        ("https://vault.example", SCOPE),
        ("http://vault.example/keys/checkpoints", SCOPE),
        (f"{VAULT_KEY}/sign", SCOPE),
        (VAULT_KEY, ""),
        (VAULT_KEY, "https://vault.azure.net"),
    ],
)
def test_a_vault_key_needs_its_whole_address_and_the_clouds_scope(
    environment: dict[str, str], key: str, scope: str
) -> None:
    del environment["JML_CHECKPOINT_KEY_FILE"]
    with pytest.raises(InvalidConfiguration, match="JML_CHECKPOINT_VAULT_"):
        load_settings({**environment, "JML_CHECKPOINT_VAULT_KEY": key, "JML_CHECKPOINT_VAULT_SCOPE": scope})


def test_a_key_file_without_a_private_key_is_named_at_the_start(environment: dict[str, str], tmp_path: Path) -> None:
    public = tmp_path / "public.pem"
    public.write_text("-----BEGIN PUBLIC KEY-----\n")
    with pytest.raises(InvalidConfiguration, match="JML_CHECKPOINT_KEY_FILE"):
        load_settings({**environment, "JML_CHECKPOINT_KEY_FILE": str(public)})
