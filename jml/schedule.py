"""Who is to be offboarded when: the schedule's row of a person, and what an observation makes of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from jml.leavedate import add
from jml.people import Cause, Leaving, Staying, Unknown, Verdict

MOST_BETWEEN = timedelta(days=1)
"""The backlog raises nobody less often than this."""


class State(StrEnum):
    """Where an offboarding stands.

    SCHEDULED: its day may come, or has; nothing was sent yet. HELD: its day has come, and a person has to release it.
    REFUSED: a person said no, until HR changes something. RELEASED: its event was sent. RETAINED: the accounts are
    cleaned up and wait for their deletion, which is due next. CLEARED: called off. DONE: nothing is left to do.
    """

    SCHEDULED = "scheduled"
    HELD = "held"
    REFUSED = "refused"
    RELEASED = "released"
    RETAINED = "retained"
    CLEARED = "cleared"
    DONE = "done"


@dataclass(frozen=True)
class Offboarding:
    """A person's row. `revision` counts every observed change: set, cleared and set again to the same day are three.

    `due` is when the next event is to be sent, `effective` since when the person leaves; both UTC. `tries`: how often
    the backlog has raised it since the last change. `hold`: the hold that it is in, or that a person let it out of.
    """

    person: str
    revision: int
    state: State
    due: datetime
    effective: datetime
    cause: Cause
    written: str = ""
    zone: str = "UTC"
    released_at: datetime | None = None
    tries: int = 0
    hold: str = ""

    @property
    def passed(self) -> bool:
        """Whether a person has let it through: it does not count for the breaker again."""
        return bool(self.hold) and self.state not in (State.HELD, State.REFUSED, State.CLEARED)


def observe(row: Offboarding | None, person: str, verdict: Verdict, now: datetime) -> Offboarding | None:
    """The row after this observation, or None when nothing has changed.

    What is unknown changes nothing. A cause without an instant of its own counts from when it was first seen.
    """
    match verdict:
        case Unknown():
            return None
        case Staying():
            if row is None or row.state is State.CLEARED:
                return None
            return replace(row, revision=row.revision + 1, state=State.CLEARED, hold="")
        case Leaving():
            effective = verdict.instant or now
            if row is not None and (_same(row, verdict) or _acted_on(row, effective, now)):
                return None
            revision = row.revision + 1 if row else 1
            return Offboarding(
                person, revision, State.SCHEDULED, effective, effective, verdict.cause, verdict.written, verdict.zone
            )


def _same(row: Offboarding, verdict: Leaving) -> bool:
    called_off = row.state is State.CLEARED
    return not called_off and row.cause is verdict.cause and verdict.instant in (None, row.effective)


def _acted_on(row: Offboarding, effective: datetime, now: datetime) -> bool:
    """Somebody who has left has left: that HR deletes them afterwards, or corrects the day, is no new leaving."""
    return row.state in (State.RELEASED, State.RETAINED, State.DONE) and effective <= now


def order(row: Offboarding | None, person: str, at: datetime) -> Offboarding:
    """The row once it was ordered, at that instant, that this person leaves; the row of the same order stays."""
    if row is not None and _is_of_order(row, at):
        return row
    revision = row.revision + 1 if row else 1
    return Offboarding(person, revision, State.SCHEDULED, at, at, Cause.TERMINATION)


def _is_of_order(row: Offboarding, at: datetime) -> bool:
    return row.cause is Cause.TERMINATION and row.effective == at and row.state is not State.CLEARED


def hold(row: Offboarding, name: str) -> Offboarding:
    return replace(row, state=State.HELD, hold=name)


def let_out(row: Offboarding, *, judged: bool) -> Offboarding:
    """The row of a hold that is over: to be sent again, and past the breaker where a person has judged it."""
    return replace(
        row, revision=row.revision + 1, state=State.SCHEDULED, released_at=None, hold=row.hold if judged else ""
    )


def raise_again(row: Offboarding, now: datetime) -> Offboarding:
    """The backlog's finding: the day has passed, the event was sent, and the work is not done.

    Accounts that were cleaned up and can sign in again were given back meanwhile: that is a new leaving, as of now.
    """
    since = now if row.state in (State.RETAINED, State.DONE) else row.effective
    return replace(
        row, revision=row.revision + 1, state=State.SCHEDULED, due=since, effective=since, tries=row.tries + 1
    )


def is_overdue(row: Offboarding, after: timedelta, now: datetime) -> bool:
    """Whether its event was sent long enough ago: `after` at first, then twice as long each time, at most a day.

    What a person has to mend first, such as a missing permission, is thus tried again without a storm of runs.
    """
    if row.released_at is None or row.state in (State.SCHEDULED, State.HELD, State.REFUSED, State.CLEARED):
        return False
    pause = max(after, min(after * 2 ** min(row.tries, 20), MOST_BETWEEN))
    return add(row.released_at, pause) <= now


def is_due(row: Offboarding, now: datetime) -> bool:
    return row.state in (State.SCHEDULED, State.RETAINED) and row.due <= now


def release(row: Offboarding, now: datetime) -> Offboarding:
    """The row once its event is sent."""
    return replace(row, state=State.RELEASED, released_at=now)


def after_run(row: Offboarding, revision: int, delete_at: datetime | None) -> Offboarding | None:
    """The row after a run of `revision`; None when a newer change has come since.

    A run may end before the row says that its event was sent.

    `delete_at`: the accounts are cleaned up and are to be deleted then; None: they are gone.
    """
    if row.revision != revision or row.state is State.CLEARED:
        return None
    if delete_at is None:
        return replace(row, state=State.DONE)
    return replace(row, state=State.RETAINED, due=delete_at)
