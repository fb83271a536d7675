"""What people decide about other people: each question has a ledger of its own, from its opening to its answer.

The question names a plan: who is to be offboarded, why, since when, with which accounts. Whoever answers names the
digest of the plan that they have seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jml.people import Cause
from shared.clock import Clock, from_text, to_text
from shared.ledger import Entry, Kind, Ledger, canonical
from shared.ports import TableStore
from shared.proof import Proof


@dataclass(frozen=True)
class Member:
    """One person of a plan."""

    person: str
    cause: Cause
    effective: datetime
    accounts: frozenset[str]

    def facts(self) -> dict[str, Any]:
        return {"cause": self.cause.value, "effective": to_text(self.effective), "accounts": sorted(self.accounts)}


def digest(members: Iterable[Member]) -> str:
    """One text for one plan, whatever the order: SHA-256 in hexadecimal."""
    facts = sorted((member.person, member.facts()) for member in members)
    return hashlib.sha256(canonical(facts).encode()).hexdigest()


@dataclass(frozen=True)
class Decisions:
    """The ledgers of questions."""

    store: TableStore
    proof: Proof
    clock: Clock

    async def open(self, question: str, facts: Mapping[str, Any], plan: Iterable[Member]) -> None:
        """Write the question down with its plan, once, however often it is asked; what a crash left out is added."""
        ledger = await Ledger.load(self.store, question)
        if ledger.closed:
            return
        known = {member.person for member in members(ledger)}
        missing = [Entry(Kind.PLANNED, one.facts(), one.person) for one in plan if one.person not in known]
        opening = [] if ledger.rows else [Entry(Kind.OPENED, facts)]
        await ledger.append([*opening, *missing], self.clock.now())

    async def revise(self, question: str, facts: Mapping[str, Any], plan: Iterable[Member]) -> None:
        """The plan has changed since the question was asked: write down how."""
        ledger = await Ledger.load(self.store, question)
        known = {member.person: member for member in members(ledger)}
        now = {member.person: member for member in plan}
        entries = [Entry(Kind.DECIDED, facts)]
        entries += [Entry(Kind.RESOLVED, {}, person) for person in sorted(known.keys() - now.keys())]
        entries += [
            Entry(Kind.PLANNED, one.facts(), one.person) for one in now.values() if known.get(one.person) != one
        ]
        await ledger.append(entries, self.clock.now())

    async def answer(self, question: str, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """Write the answer and close the ledger; returns the answer that stands, which is the first.

        Raises LostOrder when somebody else answers at the same moment.
        """
        ledger = await Ledger.load(self.store, question)
        if not ledger.closed:
            ledger.stage([Entry(Kind.DECIDED, facts)], self.clock.now())
            await ledger.close({"outcome": facts["decision"]}, self.clock.now())
        await self.proof.closed(ledger)
        return _answer(ledger) or facts

    async def answered(self, question: str) -> Mapping[str, Any] | None:
        """The answer that stands, if there is one."""
        return _answer(await Ledger.load(self.store, question))

    async def record(self, question: str, facts: Mapping[str, Any]) -> None:
        """A decision that answers no question of ours: asked, answered and closed at once."""
        await self.open(question, facts, [])
        await self.answer(question, facts)

    async def plan(self, question: str) -> list[Member]:
        """The plan as it stands."""
        return members(await Ledger.load(self.store, question))


def _answer(ledger: Ledger) -> Mapping[str, Any] | None:
    return ledger.rows[-2].data if ledger.closed else None


def members(ledger: Ledger) -> list[Member]:
    """The plan of a question as its ledger has it."""
    found: dict[str, Member] = {}
    for row in ledger.rows:
        if row.kind == Kind.PLANNED:
            accounts = frozenset(row.data["accounts"])
            found[row.step] = Member(row.step, Cause(row.data["cause"]), from_text(row.data["effective"]), accounts)
        elif row.kind == Kind.RESOLVED:
            found.pop(row.step, None)
    return list(found.values())
