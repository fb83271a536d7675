"""`python -m sandbox.demo`: HR sets a leave date; what follows is the app's own doing, seen live.

Exit code 0 only if the end state of the MSSP tenant is right and the evidence holds.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console

from sandbox.demo.check import wrong
from sandbox.demo.view import View
from sandbox.functions_process import ROOT
from sandbox.local_cloud import LocalCloud

FOLDER = ROOT / ".sandbox"
WORLD = ROOT / "sandbox" / "worlds" / "demo.yaml"
PERSON, ACCOUNT = "Alex Wilber", "soc-4f2a"
PATIENCE = 120
"""Seconds after which the demo gives up waiting for the run to close."""


class Demo:
    """One showing of the story, against a local cloud that is up."""

    def __init__(self, cloud: LocalCloud, http: aiohttp.ClientSession, view: View) -> None:
        self._cloud = cloud
        self._http = http
        self._view = view

    async def run(self) -> int:
        before = await self._state()
        self._view.learn(before)
        person = _named(before["corporate"], PERSON)
        account = _named(before["mssp"], ACCOUNT)
        self._view.say(f"1. {PERSON} of the corporate tenant has the account {ACCOUNT} in the MSSP tenant")
        self._view.account("Before", before["mssp"], account)
        await self._link(person, account)
        left = datetime.now(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
        self._view.say(f"3. HR sets the leave date of {PERSON}: {left}")
        await self._control("PATCH", f"/tenants/corporate/users/{person}", {"employeeLeaveDateTime": left})
        self._view.say("4. The timers run (in Azure: every 15 minutes, and every minute), and the rest follows")
        await self._control("POST", "/timers/commercial/sweep_leave_dates")
        await self._control("POST", "/timers/commercial/release_due")
        evidence = await self._follow(person)
        after = await self._state()
        self._view.say("5. The MSSP tenant afterwards")
        self._view.account("After", after["mssp"], account)
        self._view.stays(evidence)
        return await self._judge(evidence, before["mssp"], after["mssp"], account)

    async def _link(self, person: str, account: str) -> None:
        links = FOLDER / "demo-links.csv"
        links.write_text(f"person,account\n{person},{account}\n", encoding="utf-8")
        self._view.say(f"2. The account is adopted: python -m jml link import {links.relative_to(ROOT)} --apply")
        code = await self._command("link", "import", str(links), "--apply")
        if code:
            raise SystemExit(f"the link could not be made: the command ended with {code}")

    async def _follow(self, person: str) -> Mapping[str, Any]:
        """Show the run's ledger as it grows, until the run is closed."""
        async with asyncio.timeout(PATIENCE):
            while True:
                runs = (await self._api(f"/api/runs?person={person}"))["runs"]
                if runs:
                    evidence: Mapping[str, Any] = await self._api(f"/api/runs/{runs[0]['id']}/evidence")
                    self._view.timeline(evidence["rows"])
                    if runs[0]["state"] == "closed":
                        return await self._anchored(runs[0]["id"])
                await asyncio.sleep(0.25)

    async def _anchored(self, run: str) -> Mapping[str, Any]:
        """The run's evidence with the checkpoint that holds it (in Azure the timer runs every minute)."""
        await self._control("POST", "/timers/commercial/write_checkpoints")
        evidence: Mapping[str, Any] = await self._api(f"/api/runs/{run}/evidence")
        return evidence

    async def _judge(
        self, evidence: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any], account: str
    ) -> int:
        file = FOLDER / "demo-evidence.json"
        file.write_text(json.dumps(evidence, indent=2), encoding="utf-8")
        contained = evidence["containment"]
        self._view.say("6. The proof")
        seconds, objective = contained.get("secondsFromDue", "never"), contained.get("objectiveSeconds", "?")
        self._view.console.print(f"  from the leave date to contained: {seconds} s (objective: {objective:.0f} s)")
        self._view.console.print(f"  outcome: {evidence['outcome']}; evidence: {file.relative_to(ROOT)}")
        self._view.anchor(evidence)
        verified = await self._verify(str(file.relative_to(ROOT)), "--checkpoints", "deployment")
        whole = await self._verify("--all")
        stays = frozenset(str(value) for finding in evidence["stays"] for value in finding["facts"].values())
        faults = wrong(before, after, account, stays)
        if verified or whole:
            faults.append("the evidence does not hold")
        if not isinstance(evidence["chain"]["anchor"], Mapping):
            faults.append("the evidence is not anchored")
        for fault in faults:
            self._view.console.print(f"  [red]wrong:[/red] {fault}")
        if not faults:
            self._view.console.print("  [green]the MSSP tenant is as it should be, and nobody else was touched[/green]")
        return 1 if faults else 0

    async def _verify(self, *arguments: str) -> int:
        self._view.console.print(f"  python -m jml verify-evidence {' '.join(arguments)}")
        return await self._command("verify-evidence", *arguments)

    async def _state(self) -> Mapping[str, Any]:
        state: Mapping[str, Mapping[str, Any]] = await self._control("GET", "/state")
        return state["tenants"]

    async def _command(self, *arguments: str) -> int:
        environment = {**os.environ, **self._cloud.settings("commercial")}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "jml", *arguments, cwd=ROOT, env=environment
        )
        return await process.wait()

    async def _control(self, method: str, path: str, body: object = None) -> Any:
        async with self._http.request(method, f"{self._cloud.control_url}{path}", json=body) as reply:
            reply.raise_for_status()
            return await reply.json() if reply.content_length and reply.status != 204 else None

    async def _api(self, path: str) -> Any:
        """The app's own door, as an auditor of the MSSP tenant."""
        claims = {"roles": ["Auditor"], "scp": "access", "oid": "00000000-0000-4000-8000-0000000000a1"}
        token = (await self._control("POST", "/tokens", {"tenant": "mssp", "claims": claims}))["token"]
        url = f"{self._cloud.functions['commercial'].url}{path}"
        async with self._http.get(url, headers={"Authorization": f"Bearer {token}"}) as reply:
            reply.raise_for_status()
            return await reply.json()


def _named(tenant: Mapping[str, Any], name: str) -> str:
    return str(next(user["id"] for user in tenant["users"] if user["displayName"] == name))


async def show() -> int:
    FOLDER.mkdir(exist_ok=True)
    view = View(Console(width=120))
    view.say("A local cloud starts: Entra, Graph, Service Bus, storage, the Functions host (no account is needed)")
    _stop_on_signals()
    with (FOLDER / "demo-functions.log").open("wb") as log:
        async with (
            LocalCloud(WORLD, record=FOLDER / "demo-traffic.jsonl", log=log) as cloud,
            aiohttp.ClientSession() as http,
        ):
            return await Demo(cloud, http, view).run()


def _stop_on_signals() -> None:
    """Ctrl-C and SIGTERM cancel the demo: what was started is stopped on the way out."""
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)


def main() -> int:
    try:
        return asyncio.run(show())
    except asyncio.CancelledError:
        print("stopped: the local cloud is gone", file=sys.stderr)
        return 130
    except TimeoutError:
        print(f"the run did not close within {PATIENCE} s: see {Path('.sandbox/demo-functions.log')}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
