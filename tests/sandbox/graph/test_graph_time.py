"""What takes time: replication, delivery, activations that end, quotas; and what a scenario orders: faults, latency."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from aiohttp import ClientConnectionError

from sandbox.faults import FaultBoard
from sandbox.graph.directory import Directory
from sandbox.graph.privileged import Term, activate_group, assign_role
from sandbox.graph.store import Table
from sandbox.graph.throttle import Throttle, cost_of
from sandbox.world import Settings
from tests.sandbox.graph.client import Graph
from tests.sandbox.graph.conftest import Serve

ACCOUNT = "/users/soc-e60b@soc.contoso.example"
EM = "/identityGovernance/entitlementManagement"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def test_a_write_shows_on_reads_after_the_delay() -> None:
    clock = Clock()
    table = Table(clock, 5, ("kind",))
    table.seed("a", {"id": "a", "kind": "x", "n": 1})
    table.put("a", {"id": "a", "kind": "y", "n": 2})
    clock.time += 1
    table.put("b", {"id": "b", "kind": "x", "n": 1})
    assert (table.get("a") or {})["n"] == 2
    assert (table.seen("a") or {})["n"] == 1
    assert table.seen("b") is None
    assert [row["id"] for row in table.seen_where("kind", "x")] == ["a"]
    assert [row["id"] for row in table.where("kind", "x")] == ["b"]
    clock.time += 4
    assert (table.seen("a") or {})["n"] == 2
    clock.time += 1
    assert [row["id"] for row in table.seen_rows()] == ["a", "b"]
    assert [row["id"] for row in table.seen_where("kind", "x")] == ["b"]


def test_several_writes_within_the_delay_show_one_after_the_other() -> None:
    clock = Clock()
    table = Table(clock, 5)
    table.seed("a", {"n": 1})
    for n in (2, 3):
        table.put("a", {"n": n})
        clock.time += 2
    table.remove("a")
    seen = []
    for _ in range(4):
        row = table.seen("a")
        seen.append(row and row["n"])
        clock.time += 2
    assert seen == [1, 2, 3, None]
    assert list(table.seen_rows()) == []


async def test_a_disabled_account_reads_as_enabled_for_a_while(serving: Serve, demo: dict[str, Any]) -> None:
    demo["settings"] = {"consistency_ms": 150}
    graph = await serving(demo)
    path = f"{ACCOUNT}?$select=accountEnabled"
    await graph.patch("mssp", ACCOUNT, {"accountEnabled": False})
    assert (await graph.get("mssp", path)).body["accountEnabled"] is True
    state = next(u for u in graph.service.state()["mssp"]["users"] if u["displayName"] == "soc-e60b")
    assert state["accountEnabled"] is False
    await asyncio.sleep(0.2)
    assert (await graph.get("mssp", path)).body["accountEnabled"] is False


async def test_a_package_is_removed_step_by_step(serving: Serve, demo: dict[str, Any]) -> None:
    demo["settings"] = {"delivery_ms": 300}
    graph = await serving(demo)
    key = graph.id("mssp", "users", "soc-4f2a")
    held = await graph.get("mssp", f"{EM}/assignments?$filter=target/objectId eq '{key}'&$expand=accessPackage")
    lab = next(one for one in held.body["value"] if one["accessPackage"]["displayName"] == "Malware Lab Access")
    body = {"requestType": "adminRemove", "assignment": {"id": lab["id"]}}
    made = await graph.post("mssp", f"{EM}/assignmentRequests", body)
    assert (made.status, made.body["state"]) == (201, "submitted")
    states: list[str] = []
    while states[-1:] != ["delivered"]:
        states.append((await graph.get("mssp", f"{EM}/assignmentRequests/{made.body['id']}")).body["state"])
        await asyncio.sleep(0.03)
    assert list(dict.fromkeys(states)) == ["submitted", "delivering", "delivered"]
    left = await graph.get("mssp", f"{EM}/assignments?$filter=target/objectId eq '{key}' and state eq 'delivered'")
    assert lab["id"] not in left.ids
    mssp = graph.service.state()["mssp"]
    assert lab["id"] not in [one["id"] for one in mssp["accessPackageAssignments"]]
    assert key not in next(g["members"] for g in mssp["groups"] if g["displayName"] == "Malware Lab")


async def test_a_package_is_given(graph: Graph) -> None:
    package = next(p for p in graph.service.state()["mssp"]["accessPackages"] if p["displayName"] == "Forensics")
    shown = await graph.get("mssp", f"{EM}/accessPackages?$expand=assignmentPolicies")
    policy = next(p for p in shown.body["value"] if p["id"] == package["id"])["assignmentPolicies"][0]
    key = graph.id("mssp", "users", "soc-e60b")
    asked = {"targetId": key, "assignmentPolicyId": policy["id"], "accessPackageId": package["id"]}
    made = await graph.post("mssp", f"{EM}/assignmentRequests", {"requestType": "adminAdd", "assignment": asked})
    assert made.status == 201
    groups = graph.service.state()["mssp"]["groups"]
    assert key in next(g["members"] for g in groups if g["displayName"] == "Forensics Storage")


def test_an_activation_ends_by_itself() -> None:
    clock = Clock()
    directory = Directory("t", "id", now=clock)
    assign_role(directory, "p", "r", "/", Term(1000, 1600))
    activate_group(directory, "p", "g", "member", Term(1000, 1600))
    directory.catch_up()
    assert directory["roleAssignments"].rows
    assert directory.linked("members", "g", "p")
    clock.time = 1600
    directory.catch_up()
    for table in ("roleAssignments", "roleAssignmentSchedules", "groupAssignmentSchedules", "members"):
        assert not directory[table].rows


def test_units_come_back_as_the_window_moves() -> None:
    clock = Clock()
    throttle = Throttle(Settings(throttle_scale=10 / 3500), lambda: 10, clock)
    for _ in range(4):
        reached, headers = throttle.spend("app", 2, writes=False)
        assert (reached, headers["x-ms-resource-unit"]) == ("", "2")
        clock.time += 1
    assert headers["x-ms-throttle-limit-percentage"] == "0.80"
    assert throttle.spend("app", 2, writes=False)[0] == ""
    reached, headers = throttle.spend("app", 2, writes=False)
    assert reached == "resource unit"
    assert headers["Retry-After"] == "6"
    assert throttle.spend("another app", 2, writes=False)[0] == ""
    clock.time += 6
    assert throttle.spend("app", 2, writes=False)[0] == ""


@pytest.mark.parametrize(("size", "units"), [(49, 3500), (50, 5000), (500, 5000), (501, 8000)])
def test_the_quota_follows_the_tenants_size(size: int, units: int) -> None:
    throttle = Throttle(Settings(), lambda: size, Clock())
    assert throttle.spend("app", units, writes=False)[0] == ""
    assert throttle.spend("app", 1, writes=False)[0] == "resource unit"


def test_writes_have_a_quota_of_their_own() -> None:
    clock = Clock()
    throttle = Throttle(Settings(throttle_scale=2 / 3000), lambda: 501, clock)
    assert [throttle.spend("app", 1, writes=True)[0] for _ in range(3)] == ["", "", "write"]
    assert throttle.spend("app", 1, writes=False)[0] == ""
    clock.time += 150
    assert throttle.spend("app", 1, writes=True)[0] == ""


@pytest.mark.parametrize(
    ("base", "options", "cost"),
    [(2, {}, 2), (2, {"$select": "id"}, 1), (2, {"$select": "id", "$top": "5"}, 1), (3, {"$top": "19"}, 2),
     (3, {"$top": "20"}, 3), (1, {"$expand": "manager"}, 2), (1, {"$select": "id"}, 1)],
)  # fmt: skip
def test_what_a_request_costs(base: int, options: dict[str, str], cost: int) -> None:
    assert cost_of(base, options) == cost


async def test_a_fault_answers_in_the_servers_place_as_often_as_ordered(graph: Graph) -> None:
    graph.service.faults.add(
        {"method": "patch", "path": "^/users/", "status": 429, "headers": {"Retry-After": "3"}, "times": 2}
    )
    codes = [(await graph.patch("mssp", ACCOUNT, {"jobTitle": "x"})).status for _ in range(3)]
    assert codes == [429, 429, 204]


async def test_a_faults_body_may_be_no_json(graph: Graph) -> None:
    graph.service.faults.add({"path": "/users", "status": 200, "body": "{not json"})
    assert (await graph.get("mssp", "/users")).body == "{not json"
    graph.service.faults.clear()
    assert (await graph.get("mssp", "/users")).status == 200


@pytest.mark.parametrize(("when", "acted"), [("before", False), (True, False), ("after", True)])
async def test_a_connection_is_cut_before_or_after_the_server_acted(graph: Graph, when: Any, *, acted: bool) -> None:
    graph.service.faults.add({"tenant": "mssp", "method": "PATCH", "reset_connection": when, "times": 1})
    recorded = len(graph.traffic)
    with pytest.raises(ClientConnectionError):
        await graph.patch("mssp", ACCOUNT, {"jobTitle": "cut"})
    state = next(u for u in graph.service.state()["mssp"]["users"] if u["displayName"] == "soc-e60b")
    assert (state["jobTitle"] == "cut") is acted
    assert (len(graph.traffic) > recorded) is acted


async def test_a_fault_of_another_tenant_is_not_met(graph: Graph) -> None:
    graph.service.faults.add({"tenant": "corporate", "status": 500})
    assert (await graph.get("mssp", "/users")).status == 200
    assert (await graph.get("corporate", "/users")).code == "InternalServerError"


async def test_a_request_can_be_delayed(graph: Graph) -> None:
    graph.service.faults.add({"delay_ms": 60, "times": 1})
    graph.service.latency_ms = 40
    for least in (0.1, 0.04):
        started = time.perf_counter()
        await graph.get("mssp", "/users?$top=1")
        assert time.perf_counter() - started >= least


@pytest.mark.parametrize(
    "order",
    [{"status": 42}, {"path": "("}, {"times": 0}, {"unknown": 1}, {"reset_connection": "later"}, {"delay_ms": -1}],
)
def test_a_fault_that_makes_no_sense_is_refused(order: dict[str, Any]) -> None:
    board = FaultBoard()
    with pytest.raises(ValueError, match=next(iter(order))):
        board.add(order)
