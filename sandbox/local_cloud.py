"""The whole local cloud: started together, reached through settings, stopped without a trace.

    async with LocalCloud(Path("sandbox/worlds/demo.yaml"), record=Path("traffic.jsonl")) as cloud:
        environment = cloud.settings("commercial")

Entra, Graph and the control API run on the caller's loop, so a test that drives the cloud must not block it.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import IO, Any, Self

from sandbox.azurite import CONTAINER, Azurite
from sandbox.certificates import create_certificates
from sandbox.control import control_application
from sandbox.deployments import (
    API_AUDIENCE,
    QUEUES,
    Deployment,
    Endpoints,
    chosen,
    settings_for,
    storage_accounts,
    supply_application,
)
from sandbox.entra import Entra
from sandbox.faults import FaultBoard
from sandbox.functions_process import ROOT, FunctionsProcess
from sandbox.graph import GraphService
from sandbox.keyvault import KeyVault
from sandbox.managed_identity import PATH as IDENTITY_PATH
from sandbox.managed_identity import ManagedIdentityEndpoint
from sandbox.recorder import Recorder
from sandbox.servicebus import Broker
from sandbox.serving import bind, port_of, serve
from sandbox.world import World, load_world

SAMPLE_POLICY = ROOT / "policy.sample.yaml"


class LocalCloud:
    """`settings` are laid over those of every deployment; `app` is the folder of `function_app.py`."""

    def __init__(
        self,
        world: World | Path,
        *,
        record: Path,
        policy: Path = SAMPLE_POLICY,
        deployments: tuple[str, ...] = ("commercial",),
        settings: Mapping[str, str] | None = None,
        app: Path = ROOT,
        log: IO[bytes] | None = None,
    ) -> None:
        self._given_world = world
        self._names = deployments
        self.record = record
        self._policy = policy
        self._overrides = dict(settings or {})
        self._app = app
        self._log = log
        self._stack = AsyncExitStack()
        self.brokers: dict[str, Broker] = {}
        self.functions: dict[str, FunctionsProcess] = {}
        self.vaults: dict[str, KeyVault] = {}
        self.azurite: Azurite
        self._settings: dict[str, dict[str, str]] = {}

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def settings(self, deployment: str) -> dict[str, str]:
        """What the app of a deployment is given; the commands of the app take the same."""
        return dict(self._settings[deployment])

    def description(self) -> dict[str, Any]:
        """The line that `python -m sandbox up` prints."""
        return {
            "control": self.control_url,
            "functions": {name: process.url for name, process in self.functions.items()},
            "tenants": {name: tenant.id for name, tenant in self.world.tenants.items()},
        }

    async def _start(self) -> None:
        """Azurite starts while the world is read, for each takes a second or two; the app comes last."""
        self._directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="jml-sandbox-")))
        self.certificates = create_certificates(self._directory)
        self.azurite = Azurite(self.certificates, self._directory, storage_accounts(self._names))
        self._stack.push_async_callback(self.azurite.stop)
        self._bind()
        await _together(self.azurite.start(), self._serve())
        for deployment in self.deployments:
            self._settings[deployment.name] = self._settings_of(deployment)
        await _together(*(self._start_functions(deployment) for deployment in self.deployments))

    def _bind(self) -> None:
        """Every address is known before anything is served, for each part names the others' in its answers."""
        vaults = (f"vault {name}" for name in self._names)
        self._sockets = {name: bind() for name in ("login", "graph", "identity", "control", *vaults)}
        for listener in self._sockets.values():
            self._stack.callback(listener.close)
        self.login_url = f"https://localhost:{port_of(self._sockets['login'])}"
        self.graph_url = f"https://localhost:{port_of(self._sockets['graph'])}"
        self.identity_url = f"http://127.0.0.1:{port_of(self._sockets['identity'])}{IDENTITY_PATH}"
        self.control_url = f"http://127.0.0.1:{port_of(self._sockets['control'])}"

    async def _serve(self) -> None:
        self.world, self.graph = await asyncio.to_thread(self._open_world)
        self.deployments = chosen(self._names, self.world)
        self._start_brokers()
        tls = self.certificates.server_context()
        for deployment in self.deployments:
            name = f"vault {deployment.name}"
            url = f"https://localhost:{port_of(self._sockets[name])}"
            vault = KeyVault(self.entra, self.world.applications[deployment.application], url)
            self.vaults[deployment.name] = vault
            runner = await serve(vault.application(), self._sockets[name], tls)
            self._stack.push_async_callback(runner.cleanup)
        for name, application, context in (
            ("login", self.entra.application(), tls),
            ("graph", self.graph.application(), tls),
            ("identity", self._identities.application(), None),
            ("control", control_application(self), None),
        ):
            runner = await serve(application, self._sockets[name], context)
            self._stack.push_async_callback(runner.cleanup)

    def _start_brokers(self) -> None:
        for deployment in self.deployments:
            broker = Broker(QUEUES)
            broker.start()
            self._stack.callback(broker.stop)
            self.brokers[deployment.name] = broker

    def _open_world(self) -> tuple[World, GraphService]:
        """In a thread, for reading a world loads Microsoft's models."""
        given, grants = self._given_world, default_grants()
        world = given if isinstance(given, World) else load_world(given, default_grants=grants)
        supply_application(self._names, world, grants["mssp"])
        self.entra = Entra(world, login=self.login_url, resources={self.graph_url}, api_audience=API_AUDIENCE)
        self._identities = ManagedIdentityEndpoint(self.entra)
        recorder = Recorder(self.record)
        self._stack.callback(recorder.close)
        graph = GraphService(world, verify_token=self.entra.verify, record=recorder, faults=FaultBoard())
        graph.audiences = {self.graph_url}
        return world, graph

    def _settings_of(self, deployment: Deployment) -> dict[str, str]:
        account, vault = deployment.storage_account, self.vaults[deployment.name]
        endpoints = Endpoints(
            login=self.login_url,
            graph=self.graph_url,
            tables=self.azurite.endpoint("Table", account),
            service_bus=self.brokers[deployment.name].connection_string,
            identity=self.identity_url,
            identity_header=self._identities.admit(deployment.application),
            checkpoints=f"{self.azurite.endpoint('Blob', account)}/{CONTAINER}",
            vault_key=vault.key_url,
            vault_scope=vault.scope,
        )
        app_settings = settings_for(deployment, self.world, endpoints, self._policy)
        return app_settings | self.certificates.environment() | self._overrides

    async def _start_functions(self, deployment: Deployment) -> None:
        settings = self._settings[deployment.name]
        process = FunctionsProcess(deployment.name, self._app, settings, self._directory, self._log)
        self._stack.push_async_callback(process.stop)
        self.functions[deployment.name] = process
        await process.start()


def default_grants() -> dict[str, list[str]]:
    """The app's own table of the permissions that it needs: a world without applications consents to those."""
    from jml.permissions import GRANTS

    return {str(tenant): list(permissions) for tenant, permissions in GRANTS.items()}


async def _together(*work: Coroutine[Any, Any, None]) -> None:
    """All at once; the first failure cancels the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
