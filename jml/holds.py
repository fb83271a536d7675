"""Holds: offboardings that wait for a person, because there were too many of them.

A hold names a plan by its digest. Whoever releases it names the digest that they saw; the plan is made again from what
the truth says now, and when it differs, it is held again with the new one.
"""

from __future__ import annotations

import contextlib
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from jml.breaker import Direction
from jml.decisions import Decisions, Member, digest
from jml.held import Hold, HoldRows, HoldState
from jml.leavedate import add
from jml.orders import Orders
from jml.people import Cause, Leaving, Unknown, Verdict, judge, ordered
from jml.policy import Policy
from jml.schedule import Offboarding, State, hold, let_out
from jml.state import People, Schedule, Scheduled
from jml.subjects import Subjects
from jml.truth import CorporateTenant
from shared.authorisation import Caller
from shared.clock import Clock
from shared.errors import Conflict, LostOrder, NotThere, Undecidable
from shared.guid import GUID
from shared.ports import TableStore
from shared.telemetry import report, warn

HOLDS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:jml:holds:v1")
IN_THE_MAKING = timedelta(minutes=5)
"""A hold's row comes before the rows that it holds: for so long it may hold nobody yet."""
NOBODY = ""
"""The decider of what the clock decides."""


def hold_id(rows: Iterable[Offboarding]) -> str:
    """The same rows make the same hold, however often a crash makes us begin again."""
    return str(uuid.uuid5(HOLDS, "|".join(sorted(f"{row.person} {row.revision}" for row in rows))))


@dataclass(frozen=True)
class Holds:
    policy: Policy
    corporate: CorporateTenant
    store: TableStore
    decisions: Decisions
    subjects: Subjects
    clock: Clock

    @property
    def _held(self) -> HoldRows:
        return HoldRows(self.store)

    async def open(self, rows: Sequence[Scheduled], direction: Direction, reason: str) -> Hold:
        """Hold these offboardings. The question comes before the hold, and the hold before the rows that it holds."""
        now = self.clock.now()
        accounts = await self._accounts([one.offboarding.person for one in rows])
        members = [_as_planned(one.offboarding, accounts[one.offboarding.person]) for one in rows]
        made = Hold(
            id=hold_id(one.offboarding for one in rows),
            direction=direction,
            reason=reason,
            people=len(rows),
            digest=digest(members),
            opened_at=now,
            expires_at=add(now, self.policy.limits.hold),
        )
        facts = {"type": "jml.hold", "direction": direction.value, "reason": reason, "digest": made.digest}
        await self.decisions.open(made.id, facts, members)
        if (known := await self._held.get(made.id)) is None:
            await self._held.put(made)
            warn("held", hold=made.id, people=made.people, reason=reason)
        for one in rows:
            await Schedule(self.store).try_put(hold(one.offboarding, made.id), one.version)
        return known or made

    async def release(self, name: str, seen: str, caller: Caller) -> Hold:
        """Let everybody out, past the breaker, if the plan made again is still the one that the caller saw.

        Raises NotThere, Forbidden and Undecidable, with the digest of the plan as it is now.
        """
        found = await self._decidable(name, seen, caller)
        members = await self._plan_again(found)
        if (now := digest(members)) != found.digest:
            facts = {"decision": "held again", "by": caller.object_id, "digest": now, "released": seen}
            await self.decisions.revise(name, facts, members)
            await self._held.put(replace(found, digest=now, people=len(members)))
            raise Undecidable("the plan has changed since: look at it again, and release it with its new digest", now)
        return await self._decide(found, HoldState.RELEASED, caller.object_id)

    async def refuse(self, name: str, seen: str, caller: Caller) -> Hold:
        """Nobody of this hold is offboarded until HR changes something about them. Raises as `release` does."""
        return await self._decide(await self._decidable(name, seen, caller), HoldState.REFUSED, caller.object_id)

    async def settle(self) -> list[Hold]:
        """Finish what is decided, end what has waited too long or holds nobody; returns the holds that wait."""
        names = {one.offboarding.hold async for one in Schedule(self.store).of_state(State.HELD)}
        waiting = [one async for one in self._held.open()]
        for name in sorted(names - {one.id for one in waiting}):
            await self._let_go(name, await self._held.get(name))
        left: list[Hold] = []
        for one in waiting:
            answer = await self.decisions.answered(one.id)
            if answer is not None:
                await self._enact(one, answer)
            elif self._is_over(one, names):
                with contextlib.suppress(Undecidable):  # somebody decided just now
                    await self._decide(one, HoldState.EXPIRED, NOBODY)
            else:
                left.append(one)
        return left

    def _is_over(self, one: Hold, names: Collection[str]) -> bool:
        """It has waited too long; or it holds nobody any more, and not because it is only being made."""
        now = self.clock.now()
        return one.expires_at <= now or (one.id not in names and add(one.opened_at, IN_THE_MAKING) <= now)

    async def _decidable(self, name: str, seen: str, caller: Caller) -> Hold:
        found = await self._held.get(name) if GUID.match(name) else None
        if found is None:
            raise NotThere("there is no hold of that id")
        if found.state is not HoldState.OPEN:
            raise Undecidable(f"the hold is {found.state} already")
        plan = await self.decisions.plan(name)
        await self.subjects.keep_apart(caller, {member.person: member.accounts for member in plan})
        if seen != found.digest:
            raise Undecidable(
                "digest: that of the plan now was expected, as GET /api/holds/{id} shows it", found.digest
            )
        return found

    async def _plan_again(self, held: Hold) -> list[Member]:
        """The plan as the truth says now; where it cannot be known, as it was."""
        now = self.clock.now()
        rows = [one.offboarding for one in await self._rows(held.id)]
        orders = await Orders(self.store).active()
        people, nulls_mean_none = await self.corporate.people([row.person for row in rows])
        verdicts = {p.id: judge(p, self.policy, nulls_mean_none=nulls_mean_none, now=now) for p in people}
        verdicts |= {person: ordered(order.ordered_at) for person, order in orders.items()}
        accounts = await self._accounts([row.person for row in rows])
        members = [_judged(row, verdicts[row.person], accounts[row.person], now) for row in rows]
        return [member for member in members if member is not None]

    async def _decide(self, held: Hold, state: HoldState, by: str) -> Hold:
        """The ledger decides who was first; the hold's row and the people follow, after a crash too."""
        mine = {"decision": state.value, "by": by, "digest": held.digest}
        try:
            stands = await self.decisions.answer(held.id, mine)
            decided = await self._enact(held, stands)
        except (Conflict, LostOrder) as error:
            raise Undecidable("somebody else has decided at the same moment: look at it again") from error
        if stands != mine:
            raise Undecidable(f"the hold is {decided.state} already")
        return decided

    async def _enact(self, held: Hold, answer: Mapping[str, Any]) -> Hold:
        """Do what the ledger says was decided."""
        state, by = HoldState(answer["decision"]), str(answer["by"])
        decided = await self._held.put(replace(held, state=state, by=by, decided_at=self.clock.now()))
        report("hold decided", hold=held.id, decision=state.value, by=by)
        await self._let_go(held.id, decided)
        return decided

    async def _let_go(self, name: str, decided: Hold | None) -> None:
        """Let out whom it holds, or keep them as refused; of a hold that is lost everybody is judged anew."""
        released = decided is not None and decided.state is HoldState.RELEASED
        approved = {one.person for one in await self.decisions.plan(name)} if released else set()
        for one in await self._rows(name):
            row = one.offboarding
            if decided is not None and decided.state is HoldState.REFUSED:
                row = replace(row, state=State.REFUSED)
            else:
                row = let_out(row, judged=row.person in approved)
            await Schedule(self.store).try_put(row, one.version)

    async def _rows(self, name: str) -> list[Scheduled]:
        rows = Schedule(self.store).of_state(State.HELD)
        return [one async for one in rows if one.offboarding.hold == name]

    async def _accounts(self, persons: Sequence[str]) -> Mapping[str, frozenset[str]]:
        """The accounts of each; of one by its row, of many in one reading."""
        people = People(self.store)
        links = [await people.get(persons[0])] if len(persons) == 1 else [link async for link in people.all()]
        known = {link.person: link.accounts for link in links if link}
        return {person: known.get(person, frozenset()) for person in persons}


def by_direction(rows: Iterable[Scheduled]) -> dict[Direction, list[Scheduled]]:
    """Offboardings by what they are counted as."""
    found: defaultdict[Direction, list[Scheduled]] = defaultdict(list)
    for one in rows:
        found[direction_of(one.offboarding)].append(one)
    return found


def direction_of(row: Offboarding) -> Direction:
    return Direction.TERMINATION if row.cause is Cause.TERMINATION else Direction.LEAVER


def _as_planned(row: Offboarding, accounts: frozenset[str]) -> Member:
    return Member(row.person, row.cause, row.effective, accounts)


def _judged(row: Offboarding, verdict: Verdict, accounts: frozenset[str], now: datetime) -> Member | None:
    """The member of a plan that is made again; None for somebody who does not leave, or not yet."""
    match verdict:
        case Unknown():
            return _as_planned(row, accounts)
        case Leaving(cause, instant) if instant is None or instant <= now:
            return Member(row.person, cause, instant or row.effective, accounts)
        case _:
            return None
