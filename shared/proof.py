"""Anchoring: closed ledgers get into signed checkpoints, and evidence says which one holds it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

from shared.checkpoints import Checkpoint, Head, NoCheckpoint, Signed, name_of, read
from shared.clock import Clock, from_text, to_text
from shared.closings import Closings
from shared.errors import Conflict, Denied, Refused, Transient
from shared.ledger import GENESIS, Ledger
from shared.ports import Container, Signer, TableStore
from shared.telemetry import report, warn

MOST_HEADS = 200
"""Heads in one checkpoint: evidence carries the whole of it, so it stays small."""

LEAST_BETWEEN = timedelta(seconds=10)
"""At most one checkpoint in this time at the ends of runs: of many that end together, the timer takes the rest."""

MOST_SKEW = timedelta(minutes=10)
"""How far the clocks of two writers may be apart: a checkpoint is not older than the one before it for that."""

MOST_TRIES = 50
"""Numbers in a row that another took, or that are no checkpoint of ours, in one writing: the next one goes on."""

PATIENCE = 10.0
"""Seconds that the end of a run may be kept by a checkpoint; the timer has no such limit."""


class Proof:
    """One for each process. `container` takes new blobs and never lets one change."""

    def __init__(self, store: TableStore, container: Container, signer: Signer, clock: Clock) -> None:
        self._closings = Closings(store, clock)
        self._container = container
        self._signer = signer
        self._clock = clock
        self._last: Signed | None = None
        self._taken = 0
        self._writing = asyncio.Lock()
        self._tried_at: datetime | None = None

    async def closed(self, ledger: Ledger) -> None:
        """Have this closed ledger anchored, sooner or later. Call it before the run's own row says that it is over."""
        await self._closings.add(ledger)

    async def anchor(self) -> None:
        """Try to write a checkpoint now; never fails, for the timer takes up what is left."""
        now = self._clock.now()
        if self._writing.locked() or (self._tried_at is not None and now - self._tried_at < LEAST_BETWEEN):
            return
        self._tried_at = now
        try:
            async with asyncio.timeout(PATIENCE):
                await self.write()
        except (Conflict, Denied, Refused, Transient, TimeoutError) as error:
            warn("checkpoint put off", reason=str(error) or type(error).__name__)
        except (LookupError, TypeError, ValueError) as error:  # a row or an answer of another shape
            warn("checkpoint put off", reason=type(error).__name__)

    async def write(self) -> int:
        """Checkpoints for all closings that none holds; how many were written. What another writes meanwhile counts.

        A crash between the checkpoint and the marks is seen by the next one: the last checkpoint names what it holds.
        Raises Transient when others take every number.
        """
        written, tries = 0, 0
        async with self._writing:
            while tries < MOST_TRIES:
                await self._find_end()
                last = self._last
                pending = await self._closings.pending(MOST_HEADS)
                held = [one for one in pending if last is not None and last.holds(one.head)]
                if last is not None:
                    await self._closings.mark(held, last.checkpoint.number)
                fresh = [one for one in pending if one not in held]
                if fresh:
                    signed = await self._sign(last, tuple(one.head for one in fresh))
                    if not await self._add(signed):
                        tries += 1
                        continue
                    written, tries = written + 1, 0
                    await self._closings.mark(fresh, signed.checkpoint.number)
                    report("checkpoint", number=signed.checkpoint.number, heads=len(fresh))
                if len(pending) < MOST_HEADS:
                    return written
        raise Transient("checkpoints: another writer takes every number")

    async def anchor_of(self, ledger: Ledger) -> Signed | None:
        """The checkpoint that holds a closed ledger, as it is kept; None while there is none."""
        if not ledger.closed:
            return None
        last = ledger.rows[-1]
        number = await self._closings.checkpoint_of(ledger.run, last.at)
        signed = await self._read(number) if number else None
        return signed if signed and signed.holds(Head(ledger.run, len(ledger.rows), last.hash)) else None

    async def _sign(self, last: Signed | None, heads: tuple[Head, ...]) -> Signed:
        previous = last.checkpoint.hash if last else GENESIS
        key = await self._signer.key()
        checkpoint = Checkpoint(self._taken + 1, self._at(last), previous, key, heads)
        try:
            return Signed(checkpoint, await self._signer.sign(checkpoint.digest))
        except (Denied, Refused):  # the key may have been rotated
            checkpoint = replace(checkpoint, key=await self._signer.key())
            if checkpoint.key == key:
                raise
            return Signed(checkpoint, await self._signer.sign(checkpoint.digest))

    def _at(self, last: Signed | None) -> str:
        """Now; by a clock that is behind the last writer's, the same as the last."""
        now = self._clock.now()
        before = from_text(last.checkpoint.at) if last else now
        return to_text(before if now < before <= now + MOST_SKEW else now)

    async def _add(self, signed: Signed) -> bool:
        """Whether it became the next of the chain, or another had written that number."""
        try:
            await self._container.add(signed.checkpoint.name, signed.content())
        except Conflict:
            return False
        self._last, self._taken = signed, signed.checkpoint.number
        return True

    async def _find_end(self) -> None:
        """The last checkpoint and the last number that is taken, in few readings: our numbers have no gaps.

        Whatever else lies under a number is passed over, or it would be the end of all proof; an audit names it.
        """
        for _ in range(MOST_TRIES):
            found = await last_number(self._taken, self._is_ours)
            if found > self._taken:
                self._last, self._taken = await self._read(found), found
            if await self._container.get(name_of(found + 1)) is None:
                return
            self._taken = found + 1
            warn("no checkpoint of ours", number=self._taken)
        raise Transient(f"checkpoints: {MOST_TRIES} numbers before {self._taken} are taken by something else")

    async def _is_ours(self, number: int) -> bool:
        return await self._read(number) is not None

    async def _read(self, number: int) -> Signed | None:
        """The checkpoint of this number; None where there is none, or something else."""
        content = await self._container.get(name_of(number))
        try:
            signed = None if content is None else read(content)
        except NoCheckpoint:
            return None
        return signed if signed and signed.checkpoint.number == number else None


async def last_number(known: int, is_there: Callable[[int], Awaitable[bool]]) -> int:
    """The highest number that is there, when all below it are; `known` is there, or 0."""
    low, step = known, 1
    while await is_there(low + step):
        low, step = low + step, step * 2
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if await is_there(middle) else (low, middle)
    return low
