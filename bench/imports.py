"""The start: `function_app` imported and indexed by Microsoft's worker library, against its libraries alone."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.figures import Figure, Report, main, median, say

ROOT = Path(__file__).parent.parent
ROUNDS = 9
NOWHERE = "https://localhost:9"
BUS = "Endpoint=sb://localhost:9;SharedAccessKeyName=n;SharedAccessKey=k;UseDevelopmentEmulator=true;"


def measure() -> Report:
    """Fresh processes in turn, so that whatever else the machine does falls on all of them alike."""
    settings = _settings()
    libraries = json.loads(_child("list", settings))
    times: dict[str, list[float]] = {way: [] for way in ("app", "libraries", "models")}
    for way in times:
        _child(way, settings, libraries)  # the disk is warm, and what is compiled is kept, after one of each
    for at in range(ROUNDS):
        say(f"imports: {at + 1} of {ROUNDS}")
        for way, found in times.items():
            found.append(float(_child(way, settings, libraries)))
    app, alone, models = (median(times[way]) for way in ("app", "libraries", "models"))
    return Report(
        "imports",
        f"process time of {ROUNDS} fresh processes each, in turn; medians; disk warm. The app: import of Microsoft's "
        "worker library, and its indexing and loading of function_app.py. The same libraries: an import of each of the "
        f"{len(libraries)} modules of site-packages that the app's process has after that, in their order, and nothing "
        "of the app. The SDK's models: `from msgraph import GraphServiceClient`, a client, and one user parsed",
        [
            Figure("import and index ÷ the same libraries alone", app / alone, most=1.25),
            Figure("import and index ÷ GraphServiceClient and one model", app / models, most=0.5),
            Figure("third-party modules", len(libraries)),
        ],
        {way: [round(1000 * one, 1) for one in found] for way, found in times.items()},
    )


def _settings() -> Mapping[str, str]:
    """A deployment's, as the sandbox makes them, of services that nobody asks for anything.

    Imported here, for the children shall have nothing of it.
    """
    from sandbox.deployments import DEPLOYMENTS, Endpoints, settings_for
    from sandbox.local_cloud import SAMPLE_POLICY
    from tests.e2e.worlds import opened, team

    deployment = DEPLOYMENTS["commercial"]
    endpoints = Endpoints(
        login=NOWHERE,
        graph=NOWHERE,
        tables=f"{NOWHERE}/account",
        service_bus=BUS,
        identity=NOWHERE,
        identity_header="none",
        checkpoints=f"{NOWHERE}/account/checkpoints",
        vault_key=f"{NOWHERE}/keys/checkpoints",
        vault_scope="https://vault.azure.net/.default",
    )
    return settings_for(deployment, opened(team("ann")), endpoints, SAMPLE_POLICY)


def _child(way: str, settings: Mapping[str, str], libraries: list[str] | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "bench.imports", "--child", way]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**environment, **settings},
        input=json.dumps(libraries),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{way}: {done.stderr[-2000:]}")
    return done.stdout


def _index() -> None:
    from sandbox.functions_host.worker import Worker

    if not asyncio.run(Worker(ROOT).start()):
        raise RuntimeError("the app has no functions")


def _list() -> list[str]:
    """Modules of site-packages, in the order in which the app came to them."""
    _index()
    site = sysconfig.get_paths()["purelib"]
    return [name for name, one in list(sys.modules.items()) if (getattr(one, "__file__", None) or "").startswith(site)]


def _import_all(names: list[str]) -> None:
    from sandbox.functions_host.worker import load_messages

    load_messages()
    for name in names:
        __import__(name)


def _models() -> None:
    """The SDK as its documentation shows it. The credential is the app's own kind."""
    from azure.identity.aio import ManagedIdentityCredential
    from kiota_serialization_json.json_parse_node_factory import JsonParseNodeFactory
    from msgraph import GraphServiceClient
    from msgraph.generated.models.user import User

    GraphServiceClient(ManagedIdentityCredential())
    node = JsonParseNodeFactory().get_root_parse_node("application/json", b'{"id": "1", "accountEnabled": true}')
    node.get_object_value(User)


def _run_child(way: str) -> None:
    if way == "list":
        sys.stdout.write(json.dumps(_list()))
        return
    libraries = json.load(sys.stdin)
    ways: dict[str, Callable[[], None]] = {
        "app": _index,
        "libraries": lambda: _import_all(libraries),
        "models": _models,
    }
    began = time.process_time()
    ways[way]()
    sys.stdout.write(str(time.process_time() - began))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--child", choices=("list", "app", "libraries", "models"))
    options = parser.parse_args()
    if options.child:
        _run_child(options.child)
        sys.exit()
    sys.exit(main(measure))
