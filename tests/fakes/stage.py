"""A whole deployment over fakes: the services of the app, a world, a clock, and what HR does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from jml.evidence import problems
from jml.identity import person_key
from jml.permissions import GRANTS
from jml.policy import Policy
from jml.services import Services
from jml.state import Link, People, RunRecord, Runs, Schedule
from sandbox.graph.people import soft_delete, write_user
from sandbox.world import World, parse_world
from shared.authorisation import Door
from shared.errors import Conflict, LostOrder, Transient
from shared.ports import Graph
from tests.fakes.checkpoints import MemoryContainer, MemorySigner
from tests.fakes.clock import FakeClock
from tests.fakes.graph import SandboxGraph
from tests.fakes.messages import MemoryMessages, Receive
from tests.fakes.tables import MemoryTables
from tests.fakes.wire import Crash, Wire

ROOT = Path(__file__).parents[2]
QUEUE = "lifecycle"
MOST_ROUNDS = 200
LEFT = "2026-03-02T08:45:00Z"
"""A leave date that has just passed."""


class NoKeys:
    async def find(self, tenant: str, key_id: str) -> None:
        return None


@cache
def demo_data() -> dict[str, Any]:
    """The demo's world file, its instants left as text."""
    loader = type("Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
    loader.yaml_implicit_resolvers = {  # type: ignore[attr-defined]
        key: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for key, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    text = (ROOT / "sandbox" / "worlds" / "demo.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader
    return data


@cache
def demo_world() -> World:
    return parse_world(deepcopy(demo_data()), GRANTS)


def world_with(change: Callable[[dict[str, Any]], object]) -> World:
    """The demo's world after a change of its data."""
    data = deepcopy(demo_data())
    change(data)
    return parse_world(data, GRANTS)


CANARY = "00000000-0000-4000-8000-00000000ca11"
BREAK_GLASS = "00000000-0000-4000-8000-0000000b4ea6"
POLICY: dict[str, Any] = {
    "version": 1,
    "scope": [{"department": ["Security Operations"]}],
    "leaver": {"canary": {"person": CANARY, "leave_date": "2099-12-31T00:00:00Z"}, "retention": {"period": "P30D"}},
    "protected": {"accounts": [BREAK_GLASS]},
    "residual_access": {"customer_tenants": []},
    "limits": {"poll": "PT2S", "breaker": {"count": 200, "share": 1}, "missing": 1},
}


def policy_with(**sections: Mapping[str, Any]) -> Policy:
    """The tests' policy with parts of its sections replaced."""
    changed = {name: {**POLICY[name], **changes} for name, changes in sections.items()}
    return Policy.model_validate({**POLICY, **changed})


class Stage:
    """The deployment. Everything is named as in the world file: people and accounts by id, name or alias."""

    def __init__(
        self,
        world: World | None = None,
        policy: Policy | None = None,
        *,
        budget: float = 0.0,
        clock: FakeClock | None = None,
    ) -> None:
        self.world = world or demo_world()
        self.policy = policy or policy_with()
        self.clock = clock or FakeClock()
        self.wire = Wire()
        self.tables = MemoryTables(self.wire)
        self.messages = MemoryMessages(self.clock, self.wire)
        self.container, self.signer = MemoryContainer(self.wire), MemorySigner()
        self.graphs = {
            name: SandboxGraph(self.world, name, self.clock, wire=self.wire, budget=budget)
            for name in self.world.tenants
        }
        self.corporate, self.mssp = self.graphs["corporate"], self.graphs["mssp"]
        self.tenant = self.world.tenants["corporate"].id
        self.services = Services(
            policy=self.policy,
            corporate=self.tenant,
            mssp=self.world.tenants["mssp"].id,
            graph=self._graph,
            store=self.tables,
            messages=self.messages,
            checkpoints=self.container,
            signer=self.signer,
            door=Door("https://login.example", "api://jml", {}, NoKeys()),
            clock=self.clock,
        )

    def _graph(self, tenant: str) -> Graph:
        return self.graphs[str(self.world.tenant_by_id(tenant))]

    # -- who is who ---------------------------------------------------------------------------------------------

    def person(self, name: str) -> str:
        return _id_of(self.corporate, name)

    def account(self, name: str) -> str:
        return _id_of(self.mssp, name)

    async def link(self, person: str, *accounts: str) -> None:
        """Adopt accounts, as `jml link import --apply` does: the row, and the key on each account."""
        who = self.person(person)
        ids = frozenset(self.account(one) for one in accounts)
        await People(self.tables).put(Link(who, ids))
        for one in ids:
            self.alter(self.mssp, one, employeeId=person_key(self.tenant, who))

    # -- what others do -----------------------------------------------------------------------------------------

    def hr(self, person: str, **body: Any) -> None:
        """HR changes somebody in the corporate tenant, and the change has reached every replica."""
        self.alter(self.corporate, self.person(person), **body)

    def alter(self, graph: SandboxGraph, user: str, **body: Any) -> None:
        directory = graph.tenancy.directory
        write_user(directory, directory["users"].rows[user], body)
        self.clock.advance(1)

    def delete(self, person: str, *, for_good: bool = False) -> None:
        """HR deletes somebody; for good: not even the deleted items know them any more."""
        directory = self.corporate.tenancy.directory
        key = self.person(person)
        soft_delete(directory, directory["users"].rows[key])
        if for_good:
            directory["deletedUsers"].remove(key)
        self.clock.advance(1)

    # -- the app at work ----------------------------------------------------------------------------------------

    async def notice(self) -> int:
        """Sweep and release; how many events went out."""
        await self.services.sweep.run()
        return await self.services.release.run()

    async def work(self, receive: Receive | None = None, *, times: int = 1, patience: int = MOST_ROUNDS) -> None:
        """Deliver until the queue is empty, letting time pass; each message `times` times before it is completed.

        A crash starts the process again and the message is delivered again, as Service Bus does.
        """
        handler = receive or self.services.lifecycle.receive
        for _ in range(patience):
            due = self.messages.due(QUEUE)
            if not due and not self.messages.skip_to_next(QUEUE):
                return
            for one in due:
                try:
                    for _ in range(times - 1):
                        await handler(one.message.body, one.message.id)
                    await self.messages.hand_out(one, handler)
                except (Transient, LostOrder, Conflict):
                    self.clock.advance(1)
                except Crash:
                    await self.restart()
        raise AssertionError("the queue does not empty")

    async def restart(self) -> None:
        """What was under way in the dead process comes to nothing; a new one starts."""
        for _ in range(50):
            await self.clock.sleep(0)
        self.wire.revive()

    async def offboard(self, person: str, leave_date: str = LEFT) -> None:
        """From HR's entry to the end of what follows at once."""
        self.hr(person, employeeLeaveDateTime=leave_date)
        await self.notice()
        await self.work()

    # -- what came of it ----------------------------------------------------------------------------------------

    async def runs(self) -> list[RunRecord]:
        """Every run, oldest first."""
        found, _ = await Runs(self.tables).page({}, 1000, None)
        return sorted(found, key=lambda run: (run.opened_at, run.generation))

    async def evidence(self, run: str) -> dict[str, Any]:
        """The run's evidence, which must prove itself where the run is closed."""
        document = await self.services.reports.evidence(run)
        assert document is not None
        assert document["outcome"] == "open" or problems(document) == []
        return document

    async def only_run(self) -> dict[str, Any]:
        [run] = await self.runs()
        return await self.evidence(run.id)

    async def scheduled(self, person: str) -> Any:
        found = await Schedule(self.tables).get(self.person(person))
        return None if found is None else found.offboarding

    async def revise(self, person: str) -> None:
        """One more change of the person's row in the schedule, as an observation makes it."""
        schedule = Schedule(self.tables)
        known = await schedule.get(self.person(person))
        assert known is not None
        await schedule.put(replace(known.offboarding, revision=known.offboarding.revision + 1), known.version)

    def user(self, account: str) -> dict[str, Any]:
        """An account of the MSSP tenant as it is now."""
        key = self.account(account)
        found: dict[str, Any] = next(one for one in self.mssp.state["users"] if one["id"] == key)
        return found

    def groups_of(self, account: str) -> set[str]:
        """Names of the groups that the account is in."""
        key = self.account(account)
        return {str(group["displayName"]) for group in self.mssp.state["groups"] if key in group["members"]}

    def held(self, account: str) -> dict[str, int]:
        """How many of each kind of thing the account still has; kinds of which there is none are left out."""
        key, state = self.account(account), self.mssp.state
        counts = {
            kind: sum(one.get("principalId") == key for one in state[kind])
            for kind in (
                "roleAssignments",
                "roleEligibilitySchedules",
                "groupEligibilitySchedules",
                "groupAssignmentSchedules",
                "appRoleAssignments",
                "oauth2PermissionGrants",
            )
        }
        counts["packages"] = sum(one["target"]["objectId"] == key for one in state["accessPackageAssignments"])
        counts["methods"] = len(state["authenticationMethods"].get(key, ()))
        return {kind: count for kind, count in counts.items() if count}


def _id_of(graph: SandboxGraph, name: str) -> str:
    for row in graph.tenancy.directory["users"].rows.values():
        if name in (row["id"], row["displayName"], str(row.get("userPrincipalName")).split("@", maxsplit=1)[0]):
            return str(row["id"])
    return name
