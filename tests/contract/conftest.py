"""Adapters against what stands in for Microsoft, over real sockets and TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sandbox.certificates import Certificates, create_certificates
from sandbox.faults import FaultBoard
from sandbox.graph import GraphService
from sandbox.serving import bind, port_of, serve
from tests.contract.graphs import WORLD, Served, Subject, calls_of, claims_of, in_process, over_http
from tests.fakes.clock import FakeClock


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return create_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def trust(certificates: Certificates) -> Iterator[None]:
    """The private authority is trusted through the environment, which aiohttp reads only when it is imported.

    For one module at a time: other tests of this process have authorities of their own.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name, value in certificates.environment().items():
            patch.setenv(name, value)
        patch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", certificates.client_context())
        yield


@pytest.fixture
def nowhere(tmp_path: Path) -> str:
    """An address on which nobody listens."""
    return "https://localhost:9"


@pytest_asyncio.fixture(loop_scope="module")
async def served(certificates: Certificates, trust: None) -> AsyncIterator[Served]:
    traffic: list[dict[str, Any]] = []
    service = GraphService(WORLD, claims_of, traffic.append, FaultBoard())
    listener = bind()
    endpoint = f"https://localhost:{port_of(listener)}"
    service.audiences.add(endpoint)
    runner = await serve(service.application(), listener, certificates.server_context())
    yield Served(service, endpoint, traffic)
    await runner.cleanup()


@pytest_asyncio.fixture(loop_scope="module", params=["in process", "over HTTP"])
async def subject(request: pytest.FixtureRequest, served: Served) -> AsyncIterator[Subject]:
    if request.param == "in process":
        yield in_process()
        return
    clock = FakeClock()
    graph, credential = over_http(served, clock)

    def sign_out() -> None:
        credential.refuses = True

    yield Subject(
        graph,
        served.service.faults,
        clock,
        lambda: len(served.traffic),
        lambda: [call for row in served.traffic for call in calls_of(row)],
        sign_out,
        lambda: served.service.state()["mssp"],
    )
    await graph.close()
