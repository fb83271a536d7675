"""What the app's own rows say of a leaving: an order, a hold that it was let out of, a place in the window."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from jml.breaker import Breaker, Direction, Places
from jml.events import LeaverEvent
from jml.orders import Orders
from jml.state import Schedule
from shared.ports import TableStore


@dataclass(frozen=True)
class Admission:
    """`places`: the window's, as read. `ordered_at`: since when an order stands (None: there is none).

    `passed`: a person let it through. `again`: it was counted before, and is taken up once more.
    """

    places: Places
    ordered_at: datetime | None = None
    passed: bool = False
    again: bool = False


async def read_admission(event: LeaverEvent, store: TableStore, breaker: Breaker) -> Admission:
    """All of it at once; what the schedule says counts only if it is about this event."""
    scheduled, order, places = await asyncio.gather(
        Schedule(store).get(event.person), Orders(store).get(event.person), breaker.look(Direction.LEAVER)
    )
    row = scheduled.offboarding if scheduled is not None else None
    ours = row if row is not None and row.revision == event.revision else None
    passed, again = (ours.passed, ours.tries > 0) if ours else (False, False)
    if order is None or not order.active:
        return Admission(places, None, passed, again)
    return Admission(await breaker.look(Direction.TERMINATION), order.ordered_at, passed, again)
