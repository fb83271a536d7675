"""The deployments of the app under test: which tenants and application each uses, and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.entra import EXCHANGE_AUDIENCE
from sandbox.servicebus import QueueSpec
from sandbox.world import Application, ManagedIdentity, World, stable_id

API_AUDIENCE = "00000000-0000-4000-8000-00000000a0d1"
QUEUES: Mapping[str, QueueSpec] = {
    "lifecycle": QueueSpec(sessions=True, duplicate_window_s=600),
    "role-changes": QueueSpec(sessions=True, duplicate_window_s=600),
    "rejected": QueueSpec(),
}


class DeploymentImpossible(Exception):
    """The world lacks what a deployment needs; the text names it."""


@dataclass(frozen=True)
class Deployment:
    """`mssp`: the tenant that plays the MSSP's part; storage account and broker are never shared."""

    name: str
    mssp: str
    application: str
    storage_account: str


@dataclass(frozen=True)
class Endpoints:
    """Where the parts of the local cloud are found by one deployment."""

    login: str
    graph: str
    tables: str
    service_bus: str
    identity: str
    identity_header: str
    checkpoints: str
    vault_key: str
    vault_scope: str


DEPLOYMENTS: Mapping[str, Deployment] = {
    "commercial": Deployment("commercial", "mssp", "jml", "devstoreaccount1"),
    "gov": Deployment("gov", "gov", "jml-gov", "devstoregov"),
}


def storage_accounts(names: tuple[str, ...]) -> list[str]:
    return [_named(name).storage_account for name in names]


def supply_application(names: tuple[str, ...], world: World, permissions: list[str]) -> None:
    """The app of a deployment, where the world says nothing of it: at home and consented in that MSSP tenant."""
    for deployment in map(_named, names):
        name = deployment.application
        if name in world.applications or deployment.mssp not in world.tenants:
            continue
        identity = ManagedIdentity(
            client_id=stable_id("managedIdentities", name, "client"),
            principal_id=stable_id("managedIdentities", name, "principal"),
        )
        world.applications[name] = Application(
            app_id=stable_id("applications", name),
            managed_identity=identity,
            home_tenant=deployment.mssp,
            grants={deployment.mssp: permissions},
        )


def chosen(names: tuple[str, ...], world: World) -> list[Deployment]:
    """The named deployments, if the world has their tenants and applications."""
    deployments = [_named(name) for name in names]
    for deployment in deployments:
        _check(deployment, world)
    return deployments


def _named(name: str) -> Deployment:
    if name not in DEPLOYMENTS:
        raise DeploymentImpossible(f"no deployment {name!r}; there are: {', '.join(DEPLOYMENTS)}")
    return DEPLOYMENTS[name]


def _check(deployment: Deployment, world: World) -> None:
    for tenant in ("corporate", deployment.mssp):
        if tenant not in world.tenants:
            raise DeploymentImpossible(f"deployment {deployment.name} needs a tenant named {tenant}")
    application = world.applications.get(deployment.application)
    if application is None or application.managed_identity is None:
        raise DeploymentImpossible(
            f"deployment {deployment.name} needs an application named {deployment.application} with a managed identity"
        )
    if application.home_tenant != deployment.mssp:
        raise DeploymentImpossible(
            f"application {deployment.application}: home_tenant must be {deployment.mssp} for deployment "
            f"{deployment.name}"
        )


def settings_for(deployment: Deployment, world: World, endpoints: Endpoints, policy: Path) -> dict[str, str]:
    """The app's settings: what a deployment in Azure would get from its template."""
    application = world.applications[deployment.application]
    if application.managed_identity is None:
        raise DeploymentImpossible(f"application {deployment.application} has no managed identity")
    mssp = world.tenants[deployment.mssp]
    return {
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "JML_DEPLOYMENT": deployment.name,
        "JML_POLICY": str(policy.resolve()),
        "JML_LOGIN_ENDPOINT": endpoints.login,
        "JML_GRAPH_ENDPOINT": endpoints.graph,
        "JML_CORPORATE_TENANT_ID": world.tenants["corporate"].id,
        "JML_MSSP_TENANT_ID": mssp.id,
        "JML_CLIENT_ID": application.app_id,
        "JML_MANAGED_IDENTITY_CLIENT_ID": application.managed_identity.client_id,
        "JML_TOKEN_EXCHANGE_SCOPE": f"{EXCHANGE_AUDIENCE[mssp.cloud]}/.default",
        "JML_TABLES_ENDPOINT": endpoints.tables,
        "JML_SERVICEBUS": endpoints.service_bus,
        "JML_API_AUDIENCE": API_AUDIENCE,
        "JML_SWEEP_SCHEDULE": "0 */15 * * * *",
        "JML_RELEASE_SCHEDULE": "0 * * * * *",
        "JML_CHECKPOINT_SCHEDULE": "30 * * * * *",
        "JML_CHECKPOINTS_CONTAINER": endpoints.checkpoints,
        "JML_CHECKPOINT_VAULT_KEY": endpoints.vault_key,
        "JML_CHECKPOINT_VAULT_SCOPE": endpoints.vault_scope,
        "IDENTITY_ENDPOINT": endpoints.identity,
        "IDENTITY_HEADER": endpoints.identity_header,
    }
