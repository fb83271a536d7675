"""Anchoring: closed ledgers get into signed checkpoints, and evidence says which one holds it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from shared.checkpoints import Checkpoint, Head, NoCheckpoint, Signed, name_of, read
from shared.clock import Clock, to_text
from shared.closings import Closings
from shared.errors import Conflict, Denied, Refused, Transient
from shared.ledger import GENESIS, Ledger
from shared.ports import Container, Signer, TableStore
from shared.telemetry import report, warn

MOST_HEADS = 200
"""Heads in one checkpoint: evidence carries the whole of it, so it stays small."""

LEAST_BETWEEN = timedelta(seconds=10)
"""At most one checkpoint in this time at the ends of runs: of many that end together, the timer takes the rest."""

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

    async def write(self) -> int:
        """Checkpoints for all closings that none holds; how many were written. What another writes meanwhile counts.

        A crash between the checkpoint and the marks is seen by the next one: the last checkpoint names what it holds.
        """
        written = 0
        async with self._writing:
            while True:
                last = await self._find_last()
                pending = await self._closings.pending(MOST_HEADS)
                held = [one for one in pending if last is not None and last.holds(one.head)]
                if last is not None:
                    await self._closings.mark(held, last.checkpoint.number)
                fresh = [one for one in pending if one not in held]
                if fresh:
                    signed = await self._sign(last, tuple(one.head for one in fresh))
                    if not await self._add(signed):
                        continue
                    written += 1
                    await self._closings.mark(fresh, signed.checkpoint.number)
                    report("checkpoint", number=signed.checkpoint.number, heads=len(fresh))
                if len(pending) < MOST_HEADS:
                    return written

    async def anchor_of(self, ledger: Ledger) -> Signed | None:
        """The checkpoint that holds a closed ledger, as it is kept; None while there is none."""
        if not ledger.closed:
            return None
        last = ledger.rows[-1]
        number = await self._closings.checkpoint_of(ledger.run, last.at)
        signed = await self._read(number) if number else None
        return signed if signed and signed.holds(Head(ledger.run, len(ledger.rows), last.hash)) else None

    async def _sign(self, last: Signed | None, heads: tuple[Head, ...]) -> Signed:
        number, previous = (last.checkpoint.number + 1, last.checkpoint.hash) if last else (1, GENESIS)
        key = await self._signer.key()
        checkpoint = Checkpoint(number, to_text(self._clock.now()), previous, key, heads)
        return Signed(checkpoint, await self._signer.sign(checkpoint.digest))

    async def _add(self, signed: Signed) -> bool:
        """Whether it became the next of the chain, or another had written that number."""
        try:
            await self._container.add(signed.checkpoint.name, signed.content())
        except Conflict:
            return False
        self._last = signed
        return True

    async def _find_last(self) -> Signed | None:
        """The newest checkpoint, in few readings: numbers have no gaps, so it lies between one there and one not."""
        known = self._last.checkpoint.number if self._last else 0
        found = await last_number(known, self._is_there)
        if found != known:
            self._last = await self._read(found)
        return self._last

    async def _is_there(self, number: int) -> bool:
        return await self._container.get(name_of(number)) is not None

    async def _read(self, number: int) -> Signed | None:
        content = await self._container.get(name_of(number))
        try:
            return None if content is None else read(content)
        except NoCheckpoint as error:
            raise Denied(f"checkpoint {number} {error}", "somebody to look: only this app writes them") from error


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
