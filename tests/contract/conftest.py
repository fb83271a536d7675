"""Adapters against what stands in for Microsoft, over real sockets and TLS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.certificates import Certificates, create_certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return create_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def _trust(certificates: Certificates) -> Iterator[None]:
    """The private authority is trusted through the environment, which aiohttp reads only when it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in certificates.environment().items():
            patch.setenv(name, value)
        patch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", certificates.client_context())
        yield


@pytest.fixture
def nowhere(tmp_path: Path) -> str:
    """An address on which nobody listens."""
    return "https://localhost:9"
