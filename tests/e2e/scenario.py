"""What tests do to a local cloud and ask of it: HR's changes, timers, the queue, the app's door and commands."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
from aiohttp.connector import _SSL_CONTEXT_VERIFIED
from azure.data.tables import TableServiceClient
from azure.identity import ManagedIdentityCredential
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from jml.__main__ import main
from shared.clock import SystemClock
from tests.e2e.local import Running

AUDITOR = {"roles": ["Auditor"], "scp": "access", "oid": "00000000-0000-4000-8000-000000000001"}
DECIDER = "00000000-0000-4000-8000-0000000000de"
POLL_S = 0.05
LATE_S = 45.0
Document = dict[str, Any]


def now() -> datetime:
    return SystemClock().now()


def written(instant: datetime) -> str:
    """An instant as HR writes it."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def sockets_closed() -> Iterator[None]:
    """What the SDKs leave open is not ours to fix: aiohttp's closing TLS connections, azure-servicebus's cut ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@dataclass(frozen=True)
class Finished:
    """What a command said, and the code it ended with."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Sent:
    """A message as a test sends it."""

    body: bytes | str
    id: str | None
    session: str


class Scenario:
    """One running local cloud as a test drives it; `running` is the machinery below."""

    def __init__(self, running: Running, http: httpx.Client) -> None:
        self.running = running
        self.http = http
        self.cloud = running.cloud
        self.functions = self.cloud.functions["commercial"].url
        self.settings = self.cloud.settings("commercial")

    # -- the sandbox's control interface

    def control(self, method: str, path: str, body: object = None) -> Any:
        reply = self.http.request(method, self.cloud.control_url + path, json=body)
        if reply.is_error:
            raise AssertionError(f"{method} {path}: {reply.status_code} {reply.text}")
        return reply.json() if reply.content else None

    def tenant(self, name: str) -> Document:
        found: Document = self.control("GET", "/state")["tenants"][name]
        return found

    def change(self, person: str, **properties: object) -> None:
        """HR changes a person."""
        self.control("PATCH", f"/tenants/corporate/users/{person}", properties)

    def set_leave_date(self, person: str, when: datetime | str) -> str:
        text = when if isinstance(when, str) else written(when)
        self.change(person, employeeLeaveDateTime=text)
        return text

    def leave_soon(self, person: str) -> None:
        """A leave date that has just passed."""
        self.set_leave_date(person, now() - timedelta(seconds=1))

    def clear_leave_date(self, person: str) -> None:
        self.change(person, employeeLeaveDateTime=None)

    def delete_person(self, person: str) -> None:
        self.control("DELETE", f"/tenants/corporate/users/{person}")

    def sweep(self) -> None:
        self.control("POST", "/timers/commercial/sweep_leave_dates")

    def release(self) -> None:
        self.control("POST", "/timers/commercial/release_due")

    def kill(self) -> None:
        self.control("POST", "/hosts/commercial/kill")

    def start(self) -> None:
        self.control("POST", "/hosts/commercial/start")

    def traffic(self) -> list[Document]:
        rows: list[Document] = self.control("GET", "/traffic")
        return rows

    @contextmanager
    def latency(self, ms: int) -> Iterator[None]:
        self.control("POST", "/latency", {"ms": ms})
        try:
            yield
        finally:
            self.control("POST", "/latency", {"ms": 0})

    @contextmanager
    def faults(self, *faults: Mapping[str, object]) -> Iterator[None]:
        for fault in faults:
            self.control("POST", "/faults", dict(fault))
        try:
            yield
        finally:
            self.control("DELETE", "/faults")

    # -- the queue

    def counts(self, queue: str = "lifecycle") -> dict[str, int]:
        found: dict[str, int] = self.control("GET", "/queues")[queue]
        return found

    def messages(self, queue: str = "lifecycle") -> list[Document]:
        found: list[Document] = self.control("GET", f"/queues/{queue}")
        return found

    def send(self, *messages: Sent) -> None:
        """Put messages into the lifecycle queue, one after the other."""
        with self._bus() as client, client.get_queue_sender("lifecycle") as sender:
            for message in messages:
                sender.send_messages(ServiceBusMessage(message.body, message_id=message.id, session_id=message.session))

    @contextmanager
    def holding(self, *sessions: str) -> Iterator[None]:
        """Messages of these people stay in the queue: their sessions are locked by the test."""
        with self._bus() as client, contextlib.ExitStack() as stack:
            for session in sessions:
                stack.enter_context(client.get_queue_receiver("lifecycle", session_id=session, max_wait_time=1))
            yield

    def _bus(self) -> ServiceBusClient:
        return ServiceBusClient.from_connection_string(self.settings["JML_SERVICEBUS"])

    def settle(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Wait until the queue is empty and no run is open; nothing may have become a dead letter."""
        self.until(lambda: self._is_quiet(meanwhile), "the queue is empty and no run is open")
        assert self.counts()["deadLettered"] == 0, self.messages("lifecycle/$deadletterqueue")

    def _is_quiet(self, meanwhile: Callable[[], object]) -> bool:
        meanwhile()
        counts = self.counts()
        return counts["active"] == counts["scheduled"] == 0 and not [
            run for state in ("open", "waiting") for run in self.runs(state=state)
        ]

    def until(self, holds: Callable[[], object], what: str) -> None:
        late = time.monotonic() + LATE_S
        while not holds():
            assert time.monotonic() < late, f"not in {LATE_S:.0f} s: {what}; the queue: {self.messages()}"
            time.sleep(POLL_S)

    # -- the app's door

    def token(self, tenant: str = "mssp", claims: Mapping[str, object] = AUDITOR, key: str = "good") -> str:
        body = {"tenant": tenant, "claims": dict(claims), "key": key}
        return str(self.control("POST", "/tokens", body)["token"])

    def ask(self, path: str, token: str | None = None, **query: str) -> httpx.Response:
        """A request as an auditor makes it, or with another token."""
        headers = {"Authorization": f"Bearer {token or self.token()}"}
        return self.http.get(f"{self.functions}/api{path}", headers=headers, params=query or None)

    def tell(self, role: str, method: str, path: str, body: object = None) -> httpx.Response:
        """What somebody of that role asks to be done; their object id is DECIDER."""
        token = self.token(claims={**AUDITOR, "roles": [role], "oid": DECIDER})
        headers = {"Authorization": f"Bearer {token}"}
        return self.http.request(method, f"{self.functions}/api{path}", headers=headers, json=body)

    def holds(self, **query: str) -> list[Document]:
        reply = self.ask("/holds", **query)
        assert reply.status_code == 200, reply.text
        found: list[Document] = reply.json()["holds"]
        return found

    def enabled(self, *accounts: str) -> set[str]:
        """Which of these accounts of the MSSP tenant can sign in."""
        users = self.tenant("mssp")["users"]
        return {user["id"] for user in users if user["id"] in accounts and user["accountEnabled"]}

    def runs(self, **query: str) -> list[Document]:
        """The runs, the newest of a person last."""
        reply = self.ask("/runs", **query, top="200")
        assert reply.status_code == 200, reply.text
        found: list[Document] = reply.json()["runs"]
        return sorted(found, key=lambda run: str(run["openedAt"]))

    def evidence(self, run: str) -> Document:
        reply = self.ask(f"/runs/{run}/evidence")
        assert reply.status_code == 200, reply.text
        found: Document = reply.json()
        return found

    def last_evidence(self, person: str) -> Document:
        """Evidence of the person's newest run."""
        return self.evidence(self.runs(person=person)[-1]["id"])

    # -- the app's tables and commands

    def tables(self) -> dict[str, list[Document]]:
        """Every row of every table, as the app's own identity may read it."""
        with (
            mock.patch.dict(os.environ, self.settings),
            ManagedIdentityCredential(client_id=self.settings["JML_MANAGED_IDENTITY_CLIENT_ID"]) as identity,
            TableServiceClient(self.settings["JML_TABLES_ENDPOINT"], credential=identity) as service,
        ):
            names = [table.name for table in service.list_tables()]
            return {name: [dict(row) for row in service.get_table_client(name).list_entities()] for name in names}

    def command(self, *arguments: str | Path, env: bool = True) -> Finished:
        """`python -m jml --env FILE …` in this process, which saves its start-up.

        aiohttp makes its TLS context once, when it is imported, so the sandbox's authority is added to that.
        """
        _SSL_CONTEXT_VERIFIED.load_verify_locations(self.settings["SSL_CERT_FILE"])
        prefix = ["--env", str(self.env_file())] if env else []
        out, err = io.StringIO(), io.StringIO()
        with (
            sockets_closed(),
            mock.patch.dict(os.environ),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main([*prefix, *map(str, arguments)])
        return Finished(code, out.getvalue(), err.getvalue())

    def env_file(self) -> Path:
        path = self.running.directory / "settings.env"
        path.write_text("".join(f"{name}={value}\n" for name, value in self.settings.items()))
        return path

    def file(self, name: str, text: str) -> Path:
        path = self.running.directory / name
        path.write_text(text, encoding="utf-8")
        return path

    def link(self, links: Mapping[str, Sequence[str]]) -> None:
        """Adopt accounts: corporate id → account ids."""
        rows = [{"person": person, "account": account} for person, accounts in links.items() for account in accounts]
        done = self.command("link", "import", self.file("links.json", json.dumps(rows)), "--apply")
        assert done.code == 0, done

    def verify(self, evidence: Document) -> Finished:
        path = self.file(f"{evidence['run'] or 'evidence'}.json", json.dumps(evidence))
        return self.command("verify-evidence", path, env=False)

    # -- whole ways

    def leave(self, *people: str, when: datetime | str | None = None) -> None:
        """HR sets the leave date (now, if none is given), and the app does its work to the end."""
        for person in people:
            self.set_leave_date(person, when or now() - timedelta(seconds=1))
        self.carry_out()

    def carry_out(self) -> None:
        self.sweep()
        self.release()
        self.settle()
