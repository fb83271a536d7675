"""What the sandbox answers is in Microsoft's words: the contract checker over recorded traffic finds nothing."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.graph.routes import ROUTES
from sandbox.recorder import Recorder
from tests.sandbox.graph.client import EVENTUAL, Graph
from tests.sandbox.graph.conftest import Serve

CHECKER = Path(__file__).parents[4] / "shared" / "tools" / "graph_contract.py"


def named(graph: Graph, template: str) -> str:
    """A template with the demo leaver's ids in it."""
    user, group = graph.id("mssp", "users", "soc-4f2a"), graph.id("mssp", "groups", "Incident Bridge")
    principal = graph.service.state()["mssp"]["servicePrincipals"][0]["id"]
    ids = {"{user}": user, "{group}": group, "{principal}": principal}
    for word, key in ids.items():
        template = template.replace(word, key)
    return template


async def read_everything(graph: Graph) -> None:
    """Every collection and object of the route table, and again with expansions, in a batch, page by page."""
    user = graph.id("mssp", "users", "soc-4f2a")
    for route in ROUTES:
        path = named(graph, f"/{route.template}")
        if route.method != "GET" or "{" in path or path.endswith(("$count", "manager")):
            continue
        query = f"?$filter=principalId eq '{user}'" if "privilegedAccess" in path else ""
        cast = "memberOf/microsoft" in path or "MemberOf/microsoft" in path
        query = "?$count=true" if cast else query
        reply = await graph.get("mssp", path + query, headers=EVENTUAL if cast else {})
        assert reply.status == 200, (path, reply.body)
    for path in (
        "/roleManagement/directory/roleAssignments?$expand=principal,roleDefinition",
        "/identityGovernance/entitlementManagement/assignments?$expand=target,accessPackage,assignmentPolicy",
        "/users?$select=id,accountEnabled,employeeId,signInSessionsValidFromDateTime&$top=3",
        "/groups?$expand=members($select=id)",
    ):
        assert (await graph.get("mssp", path)).status == 200


async def write_everything(graph: Graph) -> None:
    user, group = graph.id("mssp", "users", "soc-4f2a"), graph.id("mssp", "groups", "Incident Bridge")
    package = graph.service.state()["mssp"]["accessPackageAssignments"][0]["id"]
    json = {"Content-Type": "application/json"}
    requests: list[dict[str, Any]] = [
        {"id": "1", "method": "PATCH", "url": f"/users/{user}", "body": {"accountEnabled": False}, "headers": json},
        {"id": "2", "method": "POST", "url": f"/users/{user}/revokeSignInSessions", "body": {}, "headers": json},
        {"id": "3", "method": "DELETE", "url": f"/groups/{group}/members/{user}/$ref"},
        {"id": "4", "method": "POST", "url": "/directoryObjects/getByIds", "headers": json,
         "body": {"ids": [user], "types": ["user"]}},
        {"id": "5", "method": "POST", "url": "/identityGovernance/entitlementManagement/assignmentRequests",
         "headers": json, "body": {"requestType": "adminRemove", "assignment": {"id": package}}},
    ]  # fmt: skip
    replies = (await graph.batch("mssp", requests)).body["responses"]
    assert sorted(one["status"] for one in replies) == [200, 200, 201, 204, 204]
    assert (await graph.delete("mssp", f"/users/{user}")).status == 204
    assert (await graph.get("mssp", f"/directory/deletedItems/{user}")).status == 200
    assert (await graph.post("mssp", f"/directory/deletedItems/{user}/restore")).status == 200
    listed = await graph.get("mssp", "/identityGovernance/entitlementManagement/assignmentRequests?$expand=assignment")
    assert len(listed.ids) == 1


@pytest.mark.skipif(not CHECKER.exists(), reason="the contract checker is not beside the project")
@pytest.mark.parametrize("cloud", ["public", "usgov"])
async def test_the_contract_checker_finds_nothing_in_what_the_sandbox_answers(
    serving: Serve, demo: dict[str, Any], tmp_path: Path, cloud: str
) -> None:
    demo["tenants"]["mssp"]["cloud"] = cloud
    graph = await serving(demo)
    await read_everything(graph)
    await write_everything(graph)
    recorder = Recorder(tmp_path / "traffic.jsonl")
    for exchange in graph.traffic:
        recorder(exchange)
    recorder.close()
    assert recorder.rows() == graph.traffic
    checked = await asyncio.create_subprocess_exec(
        sys.executable, str(CHECKER), str(recorder.path), stdout=asyncio.subprocess.PIPE
    )
    told = (await checked.communicate())[0].decode()
    assert (checked.returncode, " 0 violations" in told) == (0, True), told
