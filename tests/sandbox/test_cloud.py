"""The whole local cloud with the sample app: what the control API shows, changes and breaks."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio
from aiohttp import ClientSession, TCPConnector
from azure.data.tables import TableServiceClient
from azure.identity import ClientAssertionCredential, ManagedIdentityCredential
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from sandbox.functions_process import HostFailed
from sandbox.local_cloud import LocalCloud
from tests.sandbox.sample_host import APP, NEVER
from tests.sandbox.small_world import world

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Scenario:
    def __init__(self, cloud: LocalCloud, http: ClientSession) -> None:
        self.cloud = cloud
        self.http = http
        self.ann = cloud.world.tenants["corporate"].users[0]["id"]

    async def control(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self.http.request(method, self.cloud.control_url + path, json=body) as reply:
            return reply.status, await reply.json() if reply.status != 204 else None

    async def graph(self, path: str) -> tuple[int, Any]:
        token = await asyncio.to_thread(self._token)
        headers = {"Authorization": f"Bearer {token}"}
        async with self.http.get(f"{self.cloud.graph_url}/v1.0{path}", headers=headers) as reply:
            return reply.status, await reply.json()

    def _token(self) -> str:
        """The app's own way in, with its settings: managed identity, then the federated credential."""
        settings = self.cloud.settings("commercial")
        with environment(settings), identity(settings) as own:
            credential = ClientAssertionCredential(
                settings["JML_CORPORATE_TENANT_ID"],
                settings["JML_CLIENT_ID"],
                lambda: own.get_token(settings["JML_TOKEN_EXCHANGE_SCOPE"]).token,
                authority=settings["JML_LOGIN_ENDPOINT"],
                disable_instance_discovery=True,
            )
            with credential:
                return str(credential.get_token(f"{settings['JML_GRAPH_ENDPOINT']}/.default").token)

    async def user(self, key: str = "users") -> dict[str, Any]:
        _, state = await self.control("GET", "/state")
        found: dict[str, Any] = next(one for one in state["tenants"]["corporate"][key] if one["id"] == self.ann)
        return found


@contextmanager
def environment(settings: dict[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield


@contextmanager
def identity(settings: dict[str, str]) -> Iterator[ManagedIdentityCredential]:
    with ManagedIdentityCredential(client_id=settings["JML_MANAGED_IDENTITY_CLIENT_ID"]) as credential:
        yield credential


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scenario(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scenario]:
    directory = tmp_path_factory.mktemp("cloud")
    extra = {
        "SAMPLE_JOURNAL": str(directory / "journal.jsonl"),
        "SAMPLE_SCHEDULE": NEVER,
        "SAMPLE_QUEUE": "lifecycle",
    }
    cloud = LocalCloud(world(), record=directory / "record" / "traffic.jsonl", app=APP, settings=extra)
    async with cloud:
        connector = TCPConnector(ssl=cloud.certificates.client_context())
        async with ClientSession(connector=connector) as http:
            yield Scenario(cloud, http)


async def test_the_description_names_control_functions_and_tenants(scenario: Scenario) -> None:
    described = scenario.cloud.description()
    assert list(described) == ["control", "functions", "tenants"]
    assert list(described["functions"]) == ["commercial"]
    assert described["tenants"] == {name: one.id for name, one in scenario.cloud.world.tenants.items()}


async def test_what_hr_changes_shows_in_the_state(scenario: Scenario) -> None:
    leave = {"employeeLeaveDateTime": "2026-03-01T00:00:00Z"}
    status, _ = await scenario.control("PATCH", f"/tenants/corporate/users/{scenario.ann}", leave)
    assert status == 204
    assert (await scenario.user())["employeeLeaveDateTime"] == leave["employeeLeaveDateTime"]


async def test_a_change_that_graph_would_refuse_is_refused_with_its_code(scenario: Scenario) -> None:
    status, body = await scenario.control("PATCH", f"/tenants/corporate/users/{scenario.ann}", {"nonsense": 1})
    assert status == 400
    assert "nonsense" in body["error"]["message"]


async def test_the_app_signs_in_reads_graph_and_is_recorded(scenario: Scenario) -> None:
    status, body = await scenario.graph("/users?$select=id,displayName")
    assert status == 200, body
    assert scenario.ann in [user["id"] for user in body["value"]]
    _, rows = await scenario.control("GET", "/traffic")
    assert (rows[-1]["method"], rows[-1]["status"], rows[-1]["tenant"]) == ("GET", 200, "corporate")


async def test_a_permission_that_was_not_granted_is_missed(scenario: Scenario) -> None:
    status, body = await scenario.graph("/groups?$select=id")
    assert (status, body["error"]["code"]) == (403, "Authorization_RequestDenied")


async def test_a_fault_strikes_as_often_as_ordered(scenario: Scenario) -> None:
    fault = {"tenant": "corporate", "method": "GET", "path": "^/users", "status": 503, "times": 1}
    assert (await scenario.control("POST", "/faults", fault))[0] == 204
    assert [(await scenario.graph("/users?$select=id"))[0] for _ in range(2)] == [503, 200]


async def test_faults_in_force_are_listed_until_they_are_cleared(scenario: Scenario) -> None:
    await scenario.control("POST", "/faults", {"status": 500})
    assert await scenario.control("GET", "/faults") == (200, [{"status": 500}])
    assert (await scenario.control("DELETE", "/faults"))[0] == 204
    assert await scenario.control("GET", "/faults") == (200, [])
    assert (await scenario.graph("/users?$select=id"))[0] == 200


async def test_latency_is_set_in_milliseconds(scenario: Scenario) -> None:
    assert (await scenario.control("POST", "/latency", {"ms": 5}))[0] == 204
    assert scenario.cloud.graph.latency_ms == 5
    assert (await scenario.control("POST", "/latency", {"ms": 0}))[0] == 204


async def test_tables_take_the_managed_identitys_token(scenario: Scenario) -> None:
    settings = scenario.cloud.settings("commercial")

    def use_tables() -> str:
        with environment(settings), identity(settings) as own:
            service = TableServiceClient(settings["JML_TABLES_ENDPOINT"], credential=own)
            with service, service.create_table("people") as table:
                table.create_entity({"PartitionKey": "p", "RowKey": "r", "state": "linked"})
                return str(table.get_entity("p", "r")["state"])

    assert await asyncio.to_thread(use_tables) == "linked"


async def test_queues_are_counted_and_messages_peeked(scenario: Scenario) -> None:
    connection = scenario.cloud.settings("commercial")["JML_SERVICEBUS"]
    async with (
        ServiceBusClient.from_connection_string(connection) as client,
        client.get_queue_sender("role-changes") as sender,
    ):
        await sender.send_messages(ServiceBusMessage("one", session_id="s", message_id="m"))
    status, counts = await scenario.control("GET", "/queues")
    assert status == 200
    assert counts["role-changes"] == {"active": 1, "scheduled": 0, "deadLettered": 0}
    _, messages = await scenario.control("GET", "/queues/role-changes")
    assert [(one["messageId"], one["sessionId"], one["body"]) for one in messages] == [("m", "s", "one")]
    assert await scenario.control("GET", "/queues/lifecycle/$deadletterqueue") == (200, [])


async def test_a_timer_is_run_and_its_failure_told(scenario: Scenario) -> None:
    assert (await scenario.control("POST", "/timers/commercial/tick"))[0] == 200
    status, body = await scenario.control("POST", "/timers/commercial/failing_tick")
    assert status == 500
    assert body["error"]["message"] == "RuntimeError: the timer fails on purpose"


async def test_a_host_is_killed_and_started_again(scenario: Scenario) -> None:
    assert (await scenario.control("POST", "/hosts/commercial/kill"))[0] == 200
    assert (await scenario.control("POST", "/hosts/commercial/kill"))[0] == 409
    assert (await scenario.control("POST", "/timers/commercial/tick"))[0] == 503
    assert (await scenario.control("POST", "/hosts/commercial/start"))[0] == 200
    assert (await scenario.control("POST", "/hosts/commercial/start"))[0] == 409
    assert (await scenario.control("POST", "/timers/commercial/tick"))[0] == 200


async def test_a_token_is_issued_for_the_apps_door(scenario: Scenario) -> None:
    order = {"tenant": "mssp", "claims": {"roles": ["Auditor"], "scp": "access"}, "key": "good"}
    status, body = await scenario.control("POST", "/tokens", order)
    assert status == 200
    assert scenario.cloud.entra.verify(body["token"])["roles"] == ["Auditor"]
    _, unsigned = await scenario.control("POST", "/tokens", {"tenant": "mssp", "key": "none"})
    assert jwt.get_unverified_header(unsigned["token"])["alg"] == "none"


REFUSED: list[tuple[str, str, Any, int, str]] = [
    ("PATCH", "/tenants/nowhere/users/1", {}, 404, "no tenant nowhere; there are: corporate, mssp, gov"),
    ("PATCH", "/tenants/corporate/users/nobody", {}, 404, "nobody"),
    ("PATCH", "/tenants/corporate/users/nobody", [], 400, "not a JSON object"),
    ("DELETE", "/tenants/corporate/users/nobody", None, 404, "nobody"),
    ("POST", "/faults", {"tenant": "nowhere"}, 404, "no tenant nowhere"),
    ("POST", "/faults", {"path": "("}, 400, "path"),
    ("POST", "/faults", {"verb": "GET"}, 400, "verb"),
    ("POST", "/latency", {"ms": "slow"}, 400, "ms"),
    ("POST", "/latency", {"ms": -1}, 400, "ms"),
    ("GET", "/queues/nothing", None, 404, "no queue nothing"),
    ("GET", "/queues?deployment=gov", None, 404, "no deployment gov; there are: commercial"),
    ("POST", "/timers/gov/tick", None, 404, "no deployment gov"),
    ("POST", "/timers/commercial/thing", None, 404, "no timer function thing"),
    ("POST", "/hosts/gov/kill", None, 404, "no deployment gov"),
    ("POST", "/tokens", {}, 400, "tenant"),
    ("POST", "/tokens", {"tenant": "nowhere"}, 404, "no tenant nowhere"),
    ("POST", "/tokens", {"tenant": "mssp", "claims": []}, 400, "claims"),
    ("POST", "/tokens", {"tenant": "mssp", "key": "rusty"}, 400, "key: expected one of good, bad, none"),
    ("GET", "/nothing", None, 404, "docs/sandbox.md"),
    ("PUT", "/state", {}, 405, "PUT /state"),
]


@pytest.mark.parametrize(("method", "path", "body", "answer"), [(*row[:3], row[3:]) for row in REFUSED], ids=str)
async def test_the_control_api_says_what_was_wrong(
    scenario: Scenario, method: str, path: str, body: Any, answer: tuple[int, str]
) -> None:
    status, refusal = await scenario.control(method, path, body)
    assert (status, answer[1] in refusal["error"]["message"]) == (answer[0], True), refusal


async def test_a_person_whom_hr_deletes_is_soft_deleted(scenario: Scenario) -> None:
    status, _ = await scenario.control("DELETE", f"/tenants/corporate/users/{scenario.ann}")
    assert status == 204
    assert (await scenario.user("deletedUsers"))["displayName"] == "ann"


async def test_an_app_that_refuses_to_start_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    broken = {"SAMPLE_JOURNAL": "", "SAMPLE_BROKEN": "1"}
    with (tmp_path / "log").open("w+b") as log:
        cloud = LocalCloud(world(), record=tmp_path / "record.jsonl", app=APP, settings=broken, log=log)
        with pytest.raises(HostFailed, match="commercial ended with status 1"):
            await cloud.__aenter__()
        log.seek(0)
        assert "SAMPLE_BROKEN is set" in log.read().decode()
    assert list((tmp_path / "temporary").iterdir()) == []
