"""What the app's own rows say of a leaving: an order, a hold that it was let out of, a place in the window."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from jml.breaker import Breaker, Direction, Places
from jml.events import LeaverEvent
from jml.orders import Orders
from jml.people import Cause
from jml.schedule import Offboarding, State
from shared.ports import TableStore


@dataclass(frozen=True)
class Admission:
    """`places`: the window's, as read. `ordered_at`: since when an order stands (None: there is none).

    `passed`: a person let it through. `again`: it was counted before, and is taken up once more. `kept`: what a person
    has to decide first, or has decided already; empty when nobody has.
    """

    places: Places
    ordered_at: datetime | None = None
    passed: bool = False
    again: bool = False
    kept: str = ""


async def read_admission(event: LeaverEvent, row: Offboarding | None, store: TableStore, breaker: Breaker) -> Admission:
    """Who let the event through counts only for this event, who keeps the person for every one; `row`: theirs."""
    order, places = await asyncio.gather(Orders(store).get(event.person), breaker.look(Direction.LEAVER))
    ours = row if row is not None and row.revision == event.revision else None
    passed, again = (ours.passed, ours.tries > 0) if ours else (False, False)
    if order is None or not order.active:
        return Admission(places, None, passed, again, _kept(row))
    kept = _kept(row) if row is not None and row.cause is Cause.TERMINATION else ""
    return Admission(await breaker.look(Direction.TERMINATION), order.ordered_at, passed, again, kept)


def _kept(row: Offboarding | None) -> str:
    """Why nothing is done about a person who is held, or whom somebody refused: by a run from before that neither."""
    if row is None or row.state not in (State.HELD, State.REFUSED):
        return ""
    return f"the offboarding was {row.state} meanwhile, in hold {row.hold}"
