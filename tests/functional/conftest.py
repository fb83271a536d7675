"""Services over fakes. Nothing here may open a socket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_socket import disable_socket, enable_socket

from tests.fakes.stage import Stage


@pytest.fixture(autouse=True)
def _no_sockets() -> Iterator[None]:
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture
async def stage() -> Stage:
    """The demo's world with everybody linked to their account."""
    stage = Stage()
    for person, accounts in stage.world.x_scenario["links"].items():
        await stage.link(person, *accounts)
    return stage
