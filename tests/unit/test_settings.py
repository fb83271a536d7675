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
