"""Local clouds for the tests: one for each world, shared by the tests of a module where people are independent."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.world import World
from tests.e2e.local import Running
from tests.e2e.scenario import Scenario
from tests.e2e.worlds import Data, opened, write_policy

CHECKER = Path(__file__).parents[3] / "shared" / "tools" / "graph_contract.py"
Open = Callable[..., Scenario]


@pytest.fixture(scope="session")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The Graph exchanges of every cloud of this session; at its end they are held against Microsoft's metadata."""
    path = tmp_path_factory.mktemp("traffic") / "traffic.jsonl"
    yield path
    if CHECKER.exists() and path.exists():
        checked = subprocess.run([sys.executable, CHECKER, path], capture_output=True, text=True, check=False)
        if checked.returncode != 0:
            pytest.fail(f"Graph traffic against Microsoft's metadata:\n{checked.stdout}{checked.stderr}")


@pytest.fixture(scope="module")
def open_cloud(tmp_path_factory: pytest.TempPathFactory, traffic: Path) -> Iterator[Open]:
    """Starts a local cloud for a world, with changes to the sample policy by dotted name; stopped with the module."""
    with ExitStack() as stack:

        def start(world: World | Data, changes: dict[str, Any] | None = None) -> Scenario:
            directory = tmp_path_factory.mktemp("cloud")
            policy = write_policy(directory / "policy.yaml", changes)
            running = Running(world if isinstance(world, World) else opened(world), directory, policy)
            stack.callback(_append, running.record, traffic)
            stack.enter_context(running)
            return Scenario(running, stack.enter_context(httpx.Client(trust_env=False, timeout=60)))

        yield start


def _append(record: Path, traffic: Path) -> None:
    if record.exists():
        with traffic.open("ab") as whole:
            whole.write(record.read_bytes())
