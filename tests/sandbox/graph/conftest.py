"""A served demo world, fresh for each test: seeding it takes milliseconds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml
from aiohttp import ClientSession

from tests.sandbox.graph.client import Graph, serve

DEMO = Path(__file__).parents[3] / "sandbox" / "worlds" / "demo.yaml"
Serve: TypeAlias = Callable[..., Awaitable[Graph]]


@pytest.fixture(scope="session")
def demo_text() -> str:
    return DEMO.read_text(encoding="utf-8")


@pytest.fixture
def demo(demo_text: str) -> dict[str, Any]:
    """The demo's world as data, without replication or delivery delay."""
    data: dict[str, Any] = yaml.safe_load(demo_text)
    return {**data, "settings": {}}


@pytest.fixture
async def serving() -> AsyncIterator[Serve]:
    """Serves a world; everything is closed at the end."""
    served: list[Graph] = []
    async with ClientSession() as session:

        async def start(data: Any) -> Graph:
            served.append(await serve(data, session))
            return served[-1]

        yield start
        for graph in served:
            await graph.server.close()


@pytest.fixture
async def graph(serving: Serve, demo: dict[str, Any]) -> Graph:
    """The demo's world, served."""
    return await serving(demo)
