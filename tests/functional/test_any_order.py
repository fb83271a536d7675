"""Whatever happens, in whatever order: who has left is contained, who stays is untouched, and the record says so.

HR, the timers, the queue, crashes, faults and people who decide take turns as hypothesis likes. The truth is judged
here a second time, from the directory alone. `--hypothesis-profile explore` takes its time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jml.baseline import Standing
from jml.evidence import problems
from jml.held import Hold, HoldRows, HoldState
from jml.orders import Orders
from jml.schedule import State
from sandbox.graph.people import with_user_keys
from sandbox.world import World
from shared.authorisation import Caller, Forbidden, Role
from shared.clock import from_text, to_text
from shared.errors import Conflict, Denied, LostOrder, NotThere, Refused, Transient, Undecidable
from tests.fakes.clock import MORNING
from tests.fakes.effects import false_claims
from tests.fakes.stage import BREAK_GLASS, QUEUE, Stage, policy_with, world_with
from tests.fakes.wire import Crash

T = TypeVar("T")
PEOPLE = ("alexw", "meganb", "isaiahl", "lidiah", "pradeepg", "miriamg")
"""The last one's account is the break-glass account, which no run may touch."""
DATES = tuple(to_text(MORNING + timedelta(minutes=minutes)) for minutes in (-15, 20, 1500))
"""Few, so that a date is often set to what it was before."""
TIMES = tuple(timedelta(minutes=minutes) for minutes in (1, 9, 11, 90, 1500, 31 * 1440))
"""Inside the window in which Service Bus knows a message again (10 minutes), past it, and until an account's end."""
FAULTS: tuple[dict[str, Any], ...] = (
    {"tenant": "mssp", "method": "GET", "status": 503, "times": 3},
    {"tenant": "corporate", "method": "GET", "status": 503, "times": 3},
    {"tenant": "corporate", "status": 503},
    {"tenant": "mssp", "method": "PATCH", "status": 503},
    {"tenant": "mssp", "method": "PATCH", "status": 429, "headers": {"Retry-After": "90"}, "times": 2},
    {"tenant": "mssp", "method": "PATCH", "reset_connection": "after", "times": 1},
    {"tenant": "mssp", "method": "POST", "path": "assignmentRequests", "reset_connection": "after", "times": 1},
    {"tenant": "mssp", "method": "DELETE", "status": 403, "times": 1},
    {"tenant": "mssp", "method": "DELETE", "status": 400, "times": 1},
    {"tenant": "mssp", "method": "DELETE", "status": 204, "times": 1},
    {"tenant": "mssp", "method": "DELETE", "reset_connection": "before", "times": 2},
    {"tenant": "mssp", "path": "authentication/methods", "status": 403},
)
MOST, MOST_ORDERED = 2, 2
WINDOW = timedelta(days=1)
LIMITS = {
    "poll": "PT1M",
    "wait": "PT2H",
    "breaker": {"count": MOST, "share": 1, "window": "P1D"},
    "terminations": {"count": MOST_ORDERED, "window": "P1D"},
    "missing": 0.5,
}
APPROVER = Caller("00000000-0000-4000-8000-0000000a9907", frozenset({Role.APPROVER, Role.OPERATOR}))
CUTS = st.none() | st.integers(min_value=0, max_value=70)
SOMEBODY = st.sampled_from(PEOPLE)
ANY = st.integers(min_value=0, max_value=9)
"""One of what there is, counted from somewhere."""


@cache
def world() -> World:
    """Every account is in two groups and has one method; two have a package that takes its time to end."""

    def change(data: dict[str, Any]) -> None:
        mssp, accounts = data["tenants"]["mssp"], ["soc-4f2a", "soc-91c7", "soc-b03d", "soc-c5e8", "soc-27af"]
        for kind in ("administrative_units", "devices", "app_roles", "oauth2_grants", "role_eligibilities"):
            mssp[kind] = []
        for kind in ("role_activations", "group_eligibilities", "group_activations"):
            mssp[kind] = []
        mssp["role_assignments"] = [{"principal": "break-glass", "role": "Global Administrator"}]
        mssp["groups"] = [{"displayName": name, "members": accounts} for name in ("Analysts", "Bridge")]
        mssp["groups"].append({"displayName": "Lab"})
        mssp["access_packages"] = [
            {"displayName": f"Lab {at}", "groups": ["Lab"], "assigned": [accounts[at]]} for at in (0, 1)
        ]
        mssp["authentication_methods"] = {account: [{"kind": "oath"}] for account in accounts}
        data["settings"].update(consistency_ms=0, delivery_ms=90_000)
        data["x_scenario"]["links"]["miriamg"] = ["break-glass"]

    return world_with(change)


class AnyOrder(RuleBasedStateMachine):
    """`contained`: when whose account was switched off, by whose leave (released, ordered, or neither)."""

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.stage = Stage(world(), policy_with(limits=LIMITS))
        self.accounts: dict[str, str] = {}
        for person, [account] in self.stage.world.x_scenario["links"].items():
            self.run(self.stage.link(person, account))
            self.accounts[self.stage.account(account)] = person
        self.ids = {person: self.stage.person(person) for person in PEOPLE}
        packages = self.stage.mssp.state["accessPackageAssignments"]
        self.packages = {one["id"]: one["target"]["objectId"] for one in packages}
        self.seen_calls = len(self.stage.mssp.calls)
        self.ledger: dict[tuple[str, str], Any] = {}
        self.closed: set[str] = set()
        self.contained: list[tuple[datetime, str, str]] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    # -- the truth, judged a second time -------------------------------------------------------------------------

    @property
    def users(self) -> dict[str, Any]:
        found: dict[str, Any] = self.stage.corporate.tenancy.directory["users"].rows
        return found

    def leaves(self, person: str) -> bool:
        """By an order, or by what the directory says at this moment."""
        user = self.users.get(self.ids[person])
        if user is None or self.ids[person] in self.run(Orders(self.stage.tables).active()):
            return True
        date = user.get("employeeLeaveDateTime")
        if date is not None and from_text(date) <= self.stage.clock.now():
            return True
        return user.get("accountEnabled") is False or user.get("department") != "Security Operations"

    def enabled(self, person: str) -> bool:
        rows = self.stage.mssp.tenancy.directory["users"].rows
        mine = (account for account, owner in self.accounts.items() if owner == person)
        return any(account in rows and rows[account].get("accountEnabled") is not False for account in mine)

    def row(self, person: str) -> Any:
        return self.run(self.stage.scheduled(self.ids[person]))

    # -- what HR and others do -----------------------------------------------------------------------------------

    def change(self, person: str, **body: Any) -> None:
        if self.ids[person] in self.users:
            self.stage.hr(self.ids[person], **body)

    @rule(person=SOMEBODY, date=st.sampled_from(DATES))
    def hr_sets_a_date(self, person: str, date: str) -> None:
        self.change(person, employeeLeaveDateTime=date)

    @rule(person=SOMEBODY)
    def hr_clears_the_date(self, person: str) -> None:
        self.change(person, employeeLeaveDateTime=None)

    @rule(person=SOMEBODY, enabled=st.booleans())
    def hr_switches(self, person: str, *, enabled: bool) -> None:
        self.change(person, accountEnabled=enabled)

    @rule(person=SOMEBODY, department=st.sampled_from(["Security Operations", "Retail"]))
    def hr_moves(self, person: str, department: str) -> None:
        self.change(person, department=department)

    @rule(person=SOMEBODY)
    def hr_deletes_or_restores(self, person: str) -> None:
        directory, key = self.stage.corporate.tenancy.directory, self.ids[person]
        if key in self.users:
            self.stage.delete(key)
        else:
            row = directory["deletedUsers"].rows[key]
            directory["deletedUsers"].remove(key)
            upn = row["userPrincipalName"].removeprefix(key.replace("-", ""))
            directory["users"].put(key, with_user_keys({**row, "userPrincipalName": upn, "deletedDateTime": None}))

    @rule(date=st.sampled_from(DATES), cut=CUTS)
    def hr_sets_everybodys_date(self, date: str, cut: int | None) -> None:
        for person in PEOPLE:
            self.change(person, employeeLeaveDateTime=date)
        self.at_work(self.stage.notice(), cut)

    @rule(department=st.sampled_from(["Security Operations", "Retail"]))
    def hr_moves_nearly_everybody(self, department: str) -> None:
        for person in PEOPLE[1:]:
            self.change(person, department=department)
        self.at_work(self.stage.notice(), None)

    @rule()
    def hr_clears_everybodys_date(self) -> None:
        for person in PEOPLE:
            self.change(person, employeeLeaveDateTime=None, accountEnabled=True, department="Security Operations")

    @rule(person=SOMEBODY)
    def an_administrator_switches_on_again_who_stays(self, person: str) -> None:
        if not self.leaves(person):
            for account, owner in self.accounts.items():
                if owner == person and account in self.stage.mssp.tenancy.directory["users"].rows:
                    self.stage.alter(self.stage.mssp, account, accountEnabled=True)

    # -- faults and time -----------------------------------------------------------------------------------------

    @rule(fault=st.sampled_from(FAULTS))
    def something_breaks(self, fault: dict[str, Any]) -> None:
        self.stage.graphs[fault["tenant"]].faults.add(fault)

    @rule()
    def everything_is_mended(self) -> None:
        for graph in self.stage.graphs.values():
            graph.faults.clear()

    @rule(period=st.sampled_from(TIMES))
    def time_passes(self, period: timedelta) -> None:
        self.stage.clock.advance(period)

    # -- the app at work -----------------------------------------------------------------------------------------

    def at_work(self, work: Coroutine[Any, Any, Any], cut: int | None) -> None:
        """Work that may be refused, or that dies `cut` boundaries on with its process; another one starts then."""
        if cut is not None:
            self.stage.wire.cut_after(cut)
        before = {person: self.row(person) for person in PEOPLE if self.enabled(person)}
        ordered = self.run(Orders(self.stage.tables).active())
        with contextlib.suppress(Crash, Transient, Denied, Refused, Conflict, LostOrder):
            self.run(work)
        self.run(self.stage.restart())
        for person, row in before.items():
            if not self.enabled(person):
                after = self.row(person)
                leave = "ordered" if self.ids[person] in ordered else ""
                assert leave or row is None or row != after or row.state not in (State.HELD, State.REFUSED), row
                if any(one is not None and one.passed for one in (row, after)):
                    leave = "released"
                self.contained.append((self.stage.clock.now(), person, leave))

    @rule(cut=CUTS)
    def sweep(self, cut: int | None) -> None:
        self.at_work(self.stage.services.sweep.run(), cut)

    @rule(cut=CUTS)
    def release(self, cut: int | None) -> None:
        self.at_work(self.stage.services.release.run(), cut)

    @rule(cut=CUTS, minutes=st.sampled_from([1, 15]))
    def everything_takes_its_course(self, cut: int | None, minutes: int) -> None:
        """The timers run, all that is due is delivered, and some time goes by."""

        async def work() -> None:
            await self.stage.notice()
            for one in self.stage.messages.due(QUEUE):
                with contextlib.suppress(Transient, LostOrder, Conflict):
                    await self.stage.messages.hand_out(one, self.stage.services.lifecycle.receive)

        self.at_work(work(), cut)
        self.stage.clock.advance(timedelta(minutes=minutes))

    @rule(cut=CUTS, at=ANY, times=st.integers(1, 2))
    def deliver(self, cut: int | None, at: int, times: int) -> None:
        async def work() -> None:
            due = self.stage.messages.due(QUEUE)
            if due:
                one = due[at % len(due)]
                for _ in range(times - 1):
                    await self.stage.services.lifecycle.receive(one.message.body, one.message.id)
                await self.stage.messages.hand_out(one, self.stage.services.lifecycle.receive)

        self.at_work(work(), cut)

    @rule(cut=CUTS)
    def deliver_all_at_once(self, cut: int | None) -> None:
        async def work() -> None:
            due = self.stage.messages.due(QUEUE)
            receive = self.stage.services.lifecycle.receive
            await asyncio.gather(*(self.stage.messages.hand_out(one, receive) for one in due), return_exceptions=True)

        self.at_work(work(), cut)

    @rule(at=ANY)
    def two_workers_get_the_same_message(self, at: int) -> None:
        async def work() -> None:
            due = self.stage.messages.due(QUEUE)
            if due:
                one, receive = due[at % len(due)], self.stage.services.lifecycle.receive
                await asyncio.gather(
                    receive(one.message.body, one.message.id),
                    self.stage.messages.hand_out(one, receive),
                    return_exceptions=True,
                )

        self.at_work(work(), None)

    @precondition(lambda self: self.stage.messages.sent)
    @rule(at=st.integers(min_value=0, max_value=30))
    def an_old_message_is_sent_again(self, at: int) -> None:
        sent = self.stage.messages.of(QUEUE)
        self.run(self.stage.messages.send([sent[at % len(sent)]]))

    # -- people decide -------------------------------------------------------------------------------------------

    def open_holds(self) -> list[Hold]:
        found, _ = self.run(HoldRows(self.stage.tables).page({"state": HoldState.OPEN.value}, 100, None))
        return found

    def decided(self, work: Coroutine[Any, Any, Any], cut: int | None) -> None:
        async def decide() -> None:
            with contextlib.suppress(Undecidable, NotThere, Forbidden):
                await work

        self.at_work(decide(), cut)

    @precondition(lambda self: self.open_holds())
    @rule(at=ANY, cut=CUTS, stale=st.booleans())
    def an_approver_releases(self, at: int, cut: int | None, *, stale: bool) -> None:
        self.decide(self.stage.services.holds.release, at, cut, stale=stale)

    @precondition(lambda self: self.open_holds())
    @rule(at=ANY, cut=CUTS, stale=st.booleans())
    def an_approver_refuses(self, at: int, cut: int | None, *, stale: bool) -> None:
        self.decide(self.stage.services.holds.refuse, at, cut, stale=stale)

    def decide(
        self, decide: Callable[..., Coroutine[Any, Any, Hold]], at: int, cut: int | None, *, stale: bool
    ) -> None:
        """By the digest of the plan as it is, or of another one, which decides nothing."""
        found = self.open_holds()
        hold, before = found[at % len(found)], [self.row(person) for person in PEOPLE]
        self.decided(decide(hold.id, "0" * 64 if stale else hold.digest, APPROVER), cut)
        assert not stale or [self.row(person) for person in PEOPLE] == before

    @rule(person=SOMEBODY, cut=CUTS)
    def an_operator_orders(self, person: str, cut: int | None) -> None:
        self.decided(self.stage.services.terminations.order(self.ids[person], APPROVER), cut)

    @rule(person=SOMEBODY, cut=CUTS)
    def an_operator_revokes(self, person: str, cut: int | None) -> None:
        self.decided(self.stage.services.terminations.revoke(self.ids[person], APPROVER), cut)

    @precondition(lambda self: not self.believed)
    @rule(cut=CUTS)
    def an_approver_accepts_what_has_shrunk(self, cut: int | None) -> None:
        baseline = self.run(self.stage.services.baselines.get())
        assert baseline is not None
        self.decided(self.stage.services.baselines.accept(baseline.digest, APPROVER), cut)

    @property
    def believed(self) -> bool:
        baseline = self.run(self.stage.services.baselines.get())
        return baseline is None or baseline.standing is not Standing.FAULT

    # -- what always holds ---------------------------------------------------------------------------------------

    @invariant()
    def nobody_who_stays_is_touched(self) -> None:
        fresh, self.seen_calls = self.stage.mssp.calls[self.seen_calls :], len(self.stage.mssp.calls)
        writes = [call for call in fresh if call.method != "GET" and "getByIds" not in call.path]
        for call in writes:
            text = call.path + json.dumps(call.body)
            named = {account for account in self.accounts if account in text}
            named |= {account for package, account in self.packages.items() if package in text}
            assert named, call
            assert BREAK_GLASS not in named
            assert all(self.leaves(self.accounts[account]) for account in named), (call, self.stage.clock.now())

    @invariant()
    def no_more_than_the_breakers_limit_are_contained_without_a_release(self) -> None:
        for at, _, _ in self.contained:
            inside = [one for one in self.contained if at <= one[0] < at + WINDOW]
            counted: defaultdict[str, set[str]] = defaultdict(set)
            for _, person, leave in inside:
                counted[leave].add(person)
            assert len(counted[""]) <= MOST, inside
            assert len(counted["ordered"]) <= MOST_ORDERED, inside

    @invariant()
    def the_ledger_only_grows(self) -> None:
        rows = self.stage.tables.rows["ledger"]
        assert self.ledger.keys() <= rows.keys()
        assert all(rows[key] == row for key, row in self.ledger.items())
        self.ledger = dict(rows)

    @invariant()
    def what_is_closed_proves_itself(self) -> None:
        for run in self.run(self.stage.runs()):
            if run.closed_at is not None and run.id not in self.closed:
                self.closed.add(run.id)
                evidence = self.run(self.stage.services.reports.evidence(run.id))
                assert problems(evidence) == []
                if run.outcome in ("verified", "partial"):
                    assert false_claims(evidence, self.stage.mssp.state) == []

    @invariant()
    def no_message_is_lost(self) -> None:
        assert self.stage.messages.dead == []
        assert self.stage.messages.of("rejected") == []

    # -- the end -------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        if hasattr(self, "stage"):
            try:
                self.run_until_quiet()
                self.judge()
            finally:
                self.loop.close()

    def run_until_quiet(self) -> None:
        """Nothing is broken any more, nobody decides anything; the timers run, and two days go by."""
        self.everything_is_mended()
        for pause in (timedelta(0), timedelta(minutes=31), timedelta(hours=2), timedelta(days=1), timedelta(days=1)):
            self.stage.clock.advance(pause)
            self.at_work(self.stage.services.sweep.run(), None)
            self.at_work(self.stage.services.release.run(), None)
            self.at_work(self.stage.work(), None)
            for check in (
                self.nobody_who_stays_is_touched,
                self.no_more_than_the_breakers_limit_are_contained_without_a_release,
                self.the_ledger_only_grows,
                self.what_is_closed_proves_itself,
                self.no_message_is_lost,
            ):
                check()

    def judge(self) -> None:
        assert self.stage.messages.waiting == []
        assert {run.state.value for run in self.run(self.stage.runs())} <= {"closed"}
        for account, person in self.accounts.items():
            row = self.row(person)
            if account == BREAK_GLASS:
                assert self.enabled(person)
            elif (
                self.leaves(person) and self.believed and (row is None or row.state not in (State.HELD, State.REFUSED))
            ):
                assert not self.enabled(person), (person, row)
                if account in self.stage.mssp.tenancy.directory["users"].rows:
                    assert row.state is State.RETAINED, "its end is known"
                    if not self.refused(person):
                        assert self.stage.groups_of(account) == set(), (person, row)
                        assert self.stage.held(account) == {}, (person, row)

    def refused(self, person: str) -> bool:
        """Whether a run of this person recorded that something was refused for good: that stays."""
        mine = [run.id for run in self.run(self.stage.runs()) if run.person == self.ids[person]]
        return any(step["result"] == "refused" for run in mine for step in self.run(self.stage.evidence(run))["steps"])


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=settings().max_examples,
    stateful_step_count=30,
    report_multiple_bugs=False,
    phases=[Phase.generate, Phase.shrink],
)
