"""Installs Microsoft's Python worker library: `python -m sandbox.functions_host.install`.

`azure-functions-runtime` is plain Python that declares a newer Python than it needs. The messages it speaks
are compiled in the wheel of its sibling `azure-functions-runtime-v1`; that wheel is only unpacked under the
environment's `share`, for installed it would bring a top-level package named `tests`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

WORKER = ("azure-functions-runtime", "1.3.0")
MESSAGES = ("azure-functions-runtime-v1", "1.2.0")
MESSAGES_IN_WHEEL = "tests/protos/"
MESSAGES_FOLDER = Path(sys.prefix) / "share" / "azure-functions-worker"
MESSAGES_PACKAGE = "azure_functions_messages"
_PIP_FLAGS = ("--quiet", "--no-deps", "--ignore-requires-python", "--disable-pip-version-check")


def main() -> None:
    if not _worker_is_installed():
        _say("installing Microsoft's Python worker library")
        _pip("install", "==".join(WORKER))
    if not _messages_mark().exists():
        _say("unpacking the worker's messages")
        _unpack_messages()


def _worker_is_installed() -> bool:
    try:
        return metadata.version(WORKER[0]) == WORKER[1]
    except metadata.PackageNotFoundError:
        return False


def _messages_mark() -> Path:
    name, version = MESSAGES
    return MESSAGES_FOLDER / f"{name}-{version}.unpacked"


def _unpack_messages() -> None:
    with tempfile.TemporaryDirectory() as directory:
        _pip("download", "--dest", directory, "==".join(MESSAGES))
        with zipfile.ZipFile(next(Path(directory).glob("*.whl"))) as wheel:
            for entry in wheel.namelist():
                if entry.startswith(MESSAGES_IN_WHEEL) and entry.endswith("_pb2.py"):
                    _write(entry.removeprefix(MESSAGES_IN_WHEEL), wheel.read(entry))
    _messages_mark().touch()


def _write(name: str, content: bytes) -> None:
    path = MESSAGES_FOLDER / MESSAGES_PACKAGE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _pip(command: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", command, *_PIP_FLAGS, *arguments], check=True)


def _say(text: str) -> None:
    sys.stderr.write(f"functions host: {text}\n")


if __name__ == "__main__":
    main()
