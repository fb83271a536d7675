"""Terminations: somebody orders that a person leaves now. The order is its own truth until it is revoked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from jml.decisions import Decisions
from jml.orders import Order, Orders
from jml.release import Release
from jml.schedule import Offboarding, State, order, raise_again
from jml.state import People, Schedule, Scheduled, is_over
from jml.subjects import Subjects
from shared.authorisation import Caller
from shared.clock import Clock, to_text
from shared.errors import NotThere
from shared.guid import GUID
from shared.ports import TableStore
from shared.telemetry import report


@dataclass(frozen=True)
class Terminations:
    store: TableStore
    release: Release
    decisions: Decisions
    subjects: Subjects
    clock: Clock

    @property
    def _orders(self) -> Orders:
        return Orders(self.store)

    async def all(self) -> list[Order]:
        return sorted((await self._orders.active()).values(), key=lambda one: one.person)

    async def order(self, person: str, caller: Caller) -> Order:
        """Have this person leave now. Ordered twice it is one order; a run of it that ended too early begins again.

        The decision is in the ledger before it has any effect. Raises Conflict when somebody else writes the person's
        rows at the same moment.
        """
        now, known = self.clock.now(), await self._orders.get(person)
        if known is not None and known.active:
            given = known
        else:
            version = known.version if known else ""
            given = Order(person, known.revision + 1 if known else 1, now, caller.object_id, version=version)
            await self.decisions.record(given.question, _decision("ordered", person, caller))
            await self._orders.put(given)
        await self._send(given)
        report("termination ordered", person=person, by=caller.object_id)
        return given

    async def revoke(self, person: str, caller: Caller) -> None:
        """The order stands no longer: what the directory says decides again. What was removed stays so.

        Raises NotThere, and Forbidden when the caller is the person.
        """
        known = await self._orders.get(person) if GUID.match(person) else None
        if known is None or not known.active:
            raise NotThere("no termination of that id stands")
        link = await People(self.store).get(person)
        await self.subjects.keep_apart(caller, {person: link.accounts if link else frozenset()})
        await self.decisions.record(known.revocation(caller.object_id), _decision("revoked", person, caller))
        await self._orders.put(replace(known, active=False))
        report("termination revoked", person=person, by=caller.object_id)

    async def _send(self, given: Order) -> None:
        """The person's row says so, and the event goes out at once, past whatever is held."""
        schedule = Schedule(self.store)
        known = await schedule.get(given.person)
        row = order(known.offboarding if known else None, given.person, given.ordered_at)
        if row.state is State.RELEASED and await self._has_ended(row):
            row = raise_again(row, self.clock.now())
        if known is None or row != known.offboarding:
            known = Scheduled(row, await schedule.put(row, known.version if known else ""))
        if row.state is State.SCHEDULED:
            await self.release.send([known])

    async def _has_ended(self, row: Offboarding) -> bool:
        """Whether the run of this very row has begun and ended."""
        link = await People(self.store).get(row.person)
        return link is not None and link.revision == row.revision and await is_over(self.store, row.person)


def _decision(what: str, person: str, caller: Caller) -> dict[str, Any]:
    return {"type": "jml.termination", "decision": what, "person": person, "by": caller.object_id}


def document(one: Order) -> dict[str, Any]:
    """What people are shown of an order."""
    return {"id": one.person, "orderedAt": to_text(one.ordered_at), "orderedBy": one.by, "ledger": one.question}
