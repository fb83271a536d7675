"""The breaker: how many people may lose their accounts in a window, however many say so.

A due batch is judged as a whole before any of it is sent, and each run takes a place before its first write. Places
are compared and swapped in one row, so that of many sessions no two take the same one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from jml.policy import Limits
from jml.state import People
from shared.clock import Clock, from_text, to_text
from shared.errors import Conflict, Held, Transient
from shared.ports import Row, TableStore
from shared.rows import put

TABLE, PARTITION = "breaker", "breaker"
POPULATION, ADMINISTRATORS = "population", "administrators"
TRIES = 20
"""Each lost comparison is somebody else's place: more than this many at once come again later."""
CLAIM = timedelta(days=1)
"""So long does an administrator who is being disabled count as gone, whatever replicas show."""


class Direction(StrEnum):
    """What is counted apart. A termination passes when leavers are held, under a limit of its own."""

    LEAVER = "leaver"
    TERMINATION = "termination"


@dataclass(frozen=True)
class Place:
    who: str
    at: datetime


@dataclass(frozen=True)
class Places:
    """The places of one row as they were read. `most`: how many a window has."""

    key: str
    taken: tuple[Place, ...] = ()
    version: str = ""
    most: int = 0

    def since(self, first: datetime) -> tuple[Place, ...]:
        return tuple(place for place in self.taken if place.at > first)


def most(direction: Direction, limits: Limits, population: int) -> int:
    """How many places a window has: the lesser of a count and a share, and always one."""
    if direction is Direction.TERMINATION:
        return limits.terminations.count
    return max(1, min(limits.breaker.count, int(limits.breaker.share * population)))


def window(direction: Direction, limits: Limits) -> timedelta:
    return limits.terminations.window if direction is Direction.TERMINATION else limits.breaker.window


def admits(batch: int, held: int, taken: int, places: int) -> bool:
    """Whether a batch may be sent beside what the window has taken and held: one ordinary leaver always may."""
    return batch + held + taken <= places or (batch == 1 and taken == 0)


@dataclass(frozen=True)
class Breaker:
    limits: Limits
    store: TableStore
    clock: Clock

    async def look(self, direction: Direction) -> Places:
        seen, population = await asyncio.gather(self._read(direction.value), self._population())
        return replace(seen, most=most(direction, self.limits, population))

    def within(self, seen: Places) -> frozenset[str]:
        """Who has a place in the window that ends now."""
        length = window(Direction(seen.key), self.limits)
        return frozenset(place.who for place in seen.since(self.clock.now() - length))

    async def measure(self, linked: Collection[str]) -> None:
        """Note how many people there are, for the share: who is linked, and who left within the window."""
        seen, row = await asyncio.gather(self._read(Direction.LEAVER), self.store.get(TABLE, PARTITION, POPULATION))
        population = len({*linked, *self.within(seen)})
        if row is not None and row.values["people"] == population:
            return
        with contextlib.suppress(Conflict):  # another sweep counted at the same moment
            await self._put(Row(PARTITION, POPULATION, {"people": population}, row.version if row else ""))

    async def take(self, person: str, seen: Places) -> None:
        """Take a place for `person`, once a window; `seen` was read a moment ago. Raises Held when none is left."""
        direction = Direction(seen.key)
        for _ in range(TRIES):
            now = self.clock.now()
            taken = seen.since(now - window(direction, self.limits))
            if any(place.who == person for place in taken):
                return
            if len(taken) >= seen.most:
                raise Held(f"{len(taken)} of {seen.most} places for a {direction} are taken in this window")
            try:
                await self._write(seen, (*taken, Place(person, now)))
            except Conflict:
                seen = await self.look(direction)
            else:
                return
        raise Transient("the breaker's row is written by too many at once")

    async def claim(self, mine: Collection[str], others: Collection[str]) -> bool:
        """Whether these Global Administrators may go, as far as the `others` that can sign in are not going too.

        Two that leave at the same moment would each see the other as the one who is left: who claims first goes.
        """
        for _ in range(TRIES):
            now = self.clock.now()
            seen = await self._read(ADMINISTRATORS)
            claimed = seen.since(now - CLAIM)
            if not set(others) - {place.who for place in claimed}:
                return False
            kept = tuple(place for place in claimed if place.who not in mine)
            try:
                await self._write(seen, (*kept, *(Place(one, now) for one in sorted(mine))))
            except Conflict:
                continue
            return True
        raise Transient("the administrators' row is written by too many at once")

    async def _population(self) -> int:
        """As the last sweep saw it; before the first one, as the links say."""
        row = await self.store.get(TABLE, PARTITION, POPULATION)
        if row is not None:
            return int(str(row.values["people"]))
        return sum([bool(link.accounts) async for link in People(self.store).all()])

    async def _read(self, key: str) -> Places:
        row = await self.store.get(TABLE, PARTITION, key)
        if row is None:
            return Places(key)
        taken = tuple(Place(who, from_text(at)) for who, at in json.loads(str(row.values["places"])))
        return Places(key, taken, row.version)

    async def _write(self, seen: Places, taken: tuple[Place, ...]) -> None:
        text = json.dumps([[place.who, to_text(place.at)] for place in taken])
        await self._put(Row(PARTITION, seen.key, {"places": text}, seen.version))

    async def _put(self, row: Row) -> None:
        await put(self.store, TABLE, row)
