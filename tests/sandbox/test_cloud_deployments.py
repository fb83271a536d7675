"""Which deployments a world allows, and what each of them is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sandbox.deployments import DeploymentImpossible, Endpoints, chosen, settings_for, supply_application
from tests.sandbox.small_world import world


def test_a_deployment_whose_tenants_are_missing_is_refused_by_name() -> None:
    with pytest.raises(DeploymentImpossible, match="deployment gov needs a tenant named gov"):
        chosen(("commercial", "gov"), world("corporate", "mssp", applications={"jml": {}}))
    with pytest.raises(DeploymentImpossible, match="deployment commercial needs a tenant named corporate"):
        chosen(("commercial",), world("mssp", applications={"jml": {}}))
    with pytest.raises(DeploymentImpossible, match="needs an application named jml-gov"):
        chosen(("gov",), world(applications={"jml": {}}))
    with pytest.raises(DeploymentImpossible, match="no deployment 'moon'; there are: commercial, gov"):
        chosen(("moon",), world())


def test_an_application_that_the_world_leaves_out_is_supplied_at_home_in_its_own_tenant() -> None:
    one = world(applications={})
    supply_application(("commercial", "gov"), one, ["User.Read.All"])
    assert [deployment.application for deployment in chosen(("commercial", "gov"), one)] == ["jml", "jml-gov"]
    assert one.applications["jml-gov"].home_tenant == "gov"
    assert one.applications["jml-gov"].grants == {"gov": ["User.Read.All"]}


def test_the_gov_deployment_has_its_own_tenant_identity_and_exchange() -> None:
    one = world()
    ends = Endpoints(
        "https://l", "https://g", "https://t", "Endpoint=sb://b", "http://i", "secret", "https://c", "https://v", "s"
    )
    commercial, gov = (settings_for(which, one, ends, Path("p")) for which in chosen(("commercial", "gov"), one))
    assert gov["JML_MSSP_TENANT_ID"] == one.tenants["gov"].id
    assert gov["JML_TOKEN_EXCHANGE_SCOPE"] == "api://AzureADTokenExchangeUSGov/.default"
    for name in ("JML_MSSP_TENANT_ID", "JML_CLIENT_ID", "JML_MANAGED_IDENTITY_CLIENT_ID"):
        assert commercial[name] != gov[name]
        assert re.fullmatch(r"[0-9a-f-]{36}", gov[name])
