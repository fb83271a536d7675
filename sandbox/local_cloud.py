"""The whole local cloud: started together, reached through settings, stopped without a trace.

    async with LocalCloud(Path("sandbox/worlds/demo.yaml"), record=Path("traffic.jsonl")) as cloud:
        environment = cloud.settings("commercial")

Entra, Graph and the control API run on the caller's loop, so a test that drives the cloud must not block it.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import IO, Any, Self

from sandbox.azurite import Azurite
from sandbox.certificates import create_certificates
from sandbox.control import control_application
from sandbox.deployments import (
    API_AUDIENCE,
    QUEUES,
    Deployment,
    Endpoints,
    chosen,
    settings_for,
)
from sandbox.entra import Entra
from sandbox.faults import FaultBoard
from sandbox.functions_process import ROOT, FunctionsProcess
from sandbox.graph import GraphService
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
        self.world = world if isinstance(world, World) else load_world(world, default_grants=default_grants())
        self.deployments = chosen(deployments, self.world)
        self.record = record
        self._policy = policy
        self._overrides = dict(settings or {})
        self._app = app
        self._log = log
        self._stack = AsyncExitStack()
        self.brokers: dict[str, Broker] = {}
        self.functions: dict[str, FunctionsProcess] = {}
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
        self._directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="jml-sandbox-")))
        self.certificates = create_certificates(self._directory)
        azurite = Azurite(self.certificates, self._directory, [one.storage_account for one in self.deployments])
        self._stack.push_async_callback(azurite.stop)
        self._bind()
        await asyncio.gather(azurite.start(), asyncio.to_thread(self._start_brokers), self._serve())
        for deployment in self.deployments:
            self._settings[deployment.name] = self._settings_of(deployment, azurite)
        await asyncio.gather(*(self._start_functions(deployment) for deployment in self.deployments))

    def _bind(self) -> None:
        """Every address is known before anything is served, for each part names the others' in its answers."""
        self._sockets = {name: bind() for name in ("login", "graph", "identity", "control")}
        for listener in self._sockets.values():
            self._stack.callback(listener.close)
        self.login_url = f"https://localhost:{port_of(self._sockets['login'])}"
        self.graph_url = f"https://localhost:{port_of(self._sockets['graph'])}"
        self.identity_url = f"http://127.0.0.1:{port_of(self._sockets['identity'])}{IDENTITY_PATH}"
        self.control_url = f"http://127.0.0.1:{port_of(self._sockets['control'])}"

    def _start_brokers(self) -> None:
        for deployment in self.deployments:
            broker = Broker(QUEUES)
            broker.start()
            self._stack.callback(broker.stop)
            self.brokers[deployment.name] = broker

    async def _serve(self) -> None:
        self.entra = Entra(self.world, login=self.login_url, resources={self.graph_url}, api_audience=API_AUDIENCE)
        self._identities = ManagedIdentityEndpoint(self.entra)
        self.graph = await asyncio.to_thread(self._create_graph)
        tls = self.certificates.server_context()
        for name, application, context in (
            ("login", self.entra.application(), tls),
            ("graph", self.graph.application(), tls),
            ("identity", self._identities.application(), None),
            ("control", control_application(self), None),
        ):
            runner = await serve(application, self._sockets[name], context)
            self._stack.push_async_callback(runner.cleanup)

    def _create_graph(self) -> GraphService:
        recorder = Recorder(self.record)
        self._stack.callback(recorder.close)
        service = GraphService(self.world, verify_token=self.entra.verify, record=recorder, faults=FaultBoard())
        service.audiences = {self.graph_url}
        return service

    def _settings_of(self, deployment: Deployment, azurite: Azurite) -> dict[str, str]:
        endpoints = Endpoints(
            login=self.login_url,
            graph=self.graph_url,
            tables=azurite.endpoint("Table", deployment.storage_account),
            service_bus=self.brokers[deployment.name].connection_string,
            identity=self.identity_url,
            identity_header=self._identities.admit(deployment.application),
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
