"""`python -m sandbox up`: a local cloud for the app, until SIGTERM or Ctrl-C (docs/sandbox.md)."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from sandbox.azurite import AzuriteFailed
from sandbox.deployments import DEPLOYMENTS, DeploymentImpossible
from sandbox.errors import WorldError
from sandbox.functions_process import ROOT, HostFailed
from sandbox.local_cloud import SAMPLE_POLICY, LocalCloud

START_ERRORS = (AzuriteFailed, DeploymentImpossible, HostFailed, WorldError, OSError)


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        asyncio.run(_up(options))
    except START_ERRORS as failure:
        sys.stderr.write(f"sandbox: {failure}\n")
        return 1
    except asyncio.CancelledError:
        return 0
    return 0


async def _up(options: argparse.Namespace) -> None:
    """A signal cancels this task, wherever it is: what has been started is stopped on the way out."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("the sandbox runs in a task")

    def stop() -> None:
        if not task.cancelling():  # a second signal must not cut the tidying up short
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    cloud = LocalCloud(
        options.world,
        record=options.record,
        policy=options.policy,
        deployments=options.deployments,
        app=options.app.resolve(),
    )
    async with cloud:
        if options.env is not None:
            _write_settings(cloud, options.env)
        sys.stdout.write(json.dumps(cloud.description()) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def _write_settings(cloud: LocalCloud, file: Path) -> None:
    """`NAME=value` lines, unquoted: the first deployment's in FILE, another's in FILE.<deployment>."""
    for index, deployment in enumerate(cloud.deployments):
        target = file if index == 0 else file.with_name(f"{file.name}.{deployment.name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{name}={value}\n" for name, value in sorted(cloud.settings(deployment.name).items())]
        target.write_text("".join(lines))
        target.chmod(0o600)


def _deployments(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="A local cloud for the app.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start everything, say where, run until SIGTERM or Ctrl-C")
    up.add_argument("--world", type=Path, required=True, help="the world file (YAML)")
    up.add_argument("--record", type=Path, required=True, help="JSONL file that gets every Graph exchange")
    up.add_argument("--policy", type=Path, default=SAMPLE_POLICY, help="the app's policy (YAML)")
    up.add_argument(
        "--deployments",
        type=_deployments,
        default=("commercial",),
        help=f"which Functions processes to run, by comma: {', '.join(DEPLOYMENTS)}",
    )
    up.add_argument("--app", type=Path, default=ROOT, help="folder of function_app.py and host.json")
    up.add_argument("--env", type=Path, help="file that gets the app's settings, NAME=value a line")
    return parser


if __name__ == "__main__":
    sys.exit(main())
