"""Azure Storage: Microsoft's Azurite, in memory, over TLS, with managed-identity tokens (`--oauth basic`).

Azurite looks at a token's audience, issuer and time, not at roles: `azurite_rights.cjs` refuses, inside its process,
what the app's roles in Azure would not allow (docs/proof.md).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from sandbox.certificates import Certificates
from sandbox.leash import leashed
from sandbox.serving import LOOPBACK

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
START_S = 30.0
RIGHTS = Path(__file__).with_name("azurite_rights.cjs")
TABLE, CONTAINER = "ledger", "checkpoints"
APPEND_ONLY = {"tables": [TABLE], "containers": [CONTAINER]}
"""Where a managed identity may read and add, and nothing else."""

STOP_S = 5.0
SERVICES = ("Blob", "Queue", "Table")
_LISTENING = re.compile(r"Azurite (\w+) service is successfully listening at (https://\S+)")


class AzuriteFailed(Exception):
    """Azurite could not be started; the text says what to do."""


class Azurite:
    """One process with one account for each deployment; its data ends with it."""

    def __init__(self, certificates: Certificates, directory: Path, accounts: Sequence[str]) -> None:
        self._certificates = certificates
        self._directory = directory
        self.keys = {name: base64.b64encode(os.urandom(64)).decode() for name in accounts}
        """Account → its key: whoever has it may do anything, as in Azure. The app is told none."""
        self._process: asyncio.subprocess.Process | None = None
        self._output: asyncio.Task[None] | None = None
        self._endpoints: dict[str, str] = {}

    async def start(self) -> None:
        node = shutil.which("node")
        if node is None or not SCRIPT.exists():
            raise AzuriteFailed("Azurite is not installed: it needs Node 20 or newer, then `npm ci`")
        self._process = await asyncio.create_subprocess_exec(
            *leashed(node, "--require", str(RIGHTS), *self._arguments()),
            cwd=self._directory,
            env={
                "PATH": os.environ.get("PATH", ""),
                "AZURITE_ACCOUNTS": ";".join(f"{name}:{key}" for name, key in self.keys.items()),
                "AZURITE_APPEND_ONLY": json.dumps(APPEND_ONLY),
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            await asyncio.wait_for(self._read_endpoints(), START_S)
        except TimeoutError as late:
            await self.stop()
            raise AzuriteFailed(f"Azurite did not listen within {START_S:.0f} s") from late
        self._output = asyncio.create_task(self._drain())
        await asyncio.gather(*(self._prepare(account) for account in self.keys))

    async def _prepare(self, account: str) -> None:
        """Make what a deployment's template makes in Azure, for the app may not."""
        from azure.core.credentials import AzureNamedKeyCredential
        from azure.data.tables.aio import TableServiceClient
        from azure.storage.blob.aio import BlobServiceClient

        tables, blobs = self.endpoint("Table", account), self.endpoint("Blob", account)
        verify = str(self._certificates.authority)
        owner = AzureNamedKeyCredential(account, self.keys[account])
        async with (
            TableServiceClient(tables, credential=owner, connection_verify=verify) as table_service,
            BlobServiceClient(blobs, credential=owner, connection_verify=verify) as blob_service,
        ):
            await table_service.create_table(TABLE)
            await blob_service.create_container(CONTAINER)

    def endpoint(self, service: str, account: str) -> str:
        return f"{self._endpoints[service]}/{account}"

    async def stop(self) -> None:
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), STOP_S)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._output is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._output
        self._process = None

    def _arguments(self) -> list[str]:
        hosts = [part for name in SERVICES for part in (f"--{name.lower()}Host", LOOPBACK)]
        ports = [part for name in SERVICES for part in (f"--{name.lower()}Port", "0")]
        tls = ["--cert", str(self._certificates.chain), "--key", str(self._certificates.key)]
        modes = ["--inMemoryPersistence", "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        return [str(SCRIPT), *hosts, *ports, *tls, *modes, "--oauth", "basic"]

    async def _read_endpoints(self) -> None:
        while len(self._endpoints) < len(SERVICES):
            line = await self._line()
            if not line:
                raise AzuriteFailed("Azurite ended before it listened")
            if found := _LISTENING.search(line):
                self._endpoints[found[1]] = found[2]

    async def _line(self) -> str:
        if self._process is None or self._process.stdout is None:
            return ""
        return (await self._process.stdout.readline()).decode(errors="replace")

    async def _drain(self) -> None:
        while await self._line():
            pass
