"""`python -m sandbox up` as a scenario uses it: one line, settings, signals, nothing left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest
from aiohttp import ClientSession

from sandbox.functions_process import ROOT
from tests.sandbox.sample_host import until
from tests.sandbox.small_world import APPLICATIONS, TENANTS

TINY_APP = """
import os
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="health", methods=["GET"])
async def health(req: func.HttpRequest) -> func.HttpResponse:
    print("not on standard output")
    return func.HttpResponse(os.environ["JML_DEPLOYMENT"])
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "function_app.py").write_text(TINY_APP)
    (tmp_path / "app" / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "world.yaml").write_text(json.dumps({"tenants": TENANTS, "applications": APPLICATIONS}))
    (tmp_path / "temporary").mkdir()
    return tmp_path


async def up(files: Path, *more: str) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox", "up", "--world", str(files / "world.yaml")),
        *("--record", str(files / "traffic.jsonl"), "--app", str(files / "app"), *more),
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(files / "temporary"), "JML_DEPLOYMENT": "the developer's"},
        stdout=PIPE,
        stderr=PIPE,
    )


async def line_of(process: Process) -> bytes:
    assert process.stdout is not None
    return await asyncio.wait_for(process.stdout.readline(), 30)


def descendants(pid: int) -> list[int]:
    """Every process below this one, from /proc."""
    children = [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [one for child in children for one in descendants(child)]


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


async def test_up_prints_one_line_writes_the_settings_and_ends_on_sigterm(files: Path) -> None:
    process = await up(files, "--env", str(files / "env"), "--deployments", "commercial,gov")
    described = json.loads(await line_of(process))
    assert list(described) == ["control", "functions", "tenants"]
    async with ClientSession() as http:
        for name, url in described["functions"].items():
            async with http.get(f"{url}/api/health") as reply:
                assert await reply.text() == name
    for file, deployment in (("env", "commercial"), ("env.gov", "gov")):
        settings = dict(line.split("=", 1) for line in (files / file).read_text().splitlines())
        assert settings["JML_DEPLOYMENT"] == deployment
        assert settings["JML_SERVICEBUS"].endswith("UseDevelopmentEmulator=true;")
        assert settings["SSL_CERT_FILE"] == settings["REQUESTS_CA_BUNDLE"]
    children = descendants(process.pid)
    assert len(children) == 3, "Azurite and two Functions processes"
    process.send_signal(signal.SIGTERM)
    rest, _ = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, rest) == (0, b"")
    assert alive(children) == []
    assert list((files / "temporary").iterdir()) == []


async def test_nothing_outlives_a_supervisor_that_is_killed(files: Path) -> None:
    process = await up(files)
    await until(lambda: bool(descendants(process.pid)))
    children = descendants(process.pid)
    process.kill()
    await process.communicate()
    await until(lambda: alive(children) == [])


async def test_a_signal_during_the_start_ends_it_cleanly(files: Path) -> None:
    process = await up(files)
    await until(lambda: bool(descendants(process.pid)))
    children = descendants(process.pid)
    process.send_signal(signal.SIGINT)
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, output) == (0, b"")
    assert alive(children) == []
    assert list((files / "temporary").iterdir()) == []


async def test_a_world_with_mistakes_names_them_all_and_starts_nothing(files: Path) -> None:
    tenants = {"mssp": {"display_name": "M"}, "other": {"domain": "o.example", "colour": "red"}}
    (files / "world.yaml").write_text(json.dumps({"tenants": tenants}))
    process = await up(files)
    output, errors = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, output) == (1, b"")
    for field in ("tenants.mssp.domain", "tenants.other.display_name", "tenants.other.colour"):
        assert field in errors.decode()
