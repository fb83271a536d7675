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
from collections.abc import Callable
from pathlib import Path

from bench.figures import Figure, Report, main, median, say

ROOT = Path(__file__).parent.parent
ROUNDS = 9
SETTINGS = {
    "FUNCTIONS_WORKER_RUNTIME": "python",
    "IDENTITY_ENDPOINT": "http://127.0.0.1:9/",
    "IDENTITY_HEADER": "none",
    "JML_DEPLOYMENT": "commercial",
    "JML_POLICY": str(ROOT / "policy.sample.yaml"),
    "JML_LOGIN_ENDPOINT": "https://login.example",
    "JML_GRAPH_ENDPOINT": "https://graph.example",
    "JML_TABLES_ENDPOINT": "https://tables.example/account",
    "JML_TOKEN_EXCHANGE_SCOPE": "api://AzureADTokenExchange/.default",
    "JML_SWEEP_SCHEDULE": "0 */15 * * * *",
    "JML_RELEASE_SCHEDULE": "0 * * * * *",
    "JML_CHECKPOINT_SCHEDULE": "30 * * * * *",
    "JML_CHECKPOINTS_CONTAINER": "https://localhost:1/checkpoints",
    "JML_CHECKPOINT_VAULT_KEY": "https://localhost:1/keys/checkpoints",
    "JML_CHECKPOINT_VAULT_SCOPE": "https://vault.azure.net/.default",
    "JML_SERVICEBUS__fullyQualifiedNamespace": "bus.example",
    **dict.fromkeys(
        (
            "JML_CORPORATE_TENANT_ID",
            "JML_MSSP_TENANT_ID",
            "JML_CLIENT_ID",
            "JML_MANAGED_IDENTITY_CLIENT_ID",
            "JML_API_AUDIENCE",
        ),
        "00000000-0000-4000-8000-000000000001",
    ),
}


def measure() -> Report:
    """Fresh processes in turn, so that whatever else the machine does falls on all of them alike."""
    libraries = json.loads(_child("list"))
    times: dict[str, list[float]] = {way: [] for way in ("app", "libraries", "models")}
    for way in times:
        _child(way, libraries)  # the disk is warm, and what is compiled is kept, after one of each
    for at in range(ROUNDS):
        say(f"imports: {at + 1} of {ROUNDS}")
        for way, found in times.items():
            found.append(float(_child(way, libraries)))
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


def _child(way: str, libraries: list[str] | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "bench.imports", "--child", way]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment | SETTINGS,
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

    asyncio.run(Worker(ROOT).start())


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
