"""The app's own records of people, offboardings and runs, as rows of tables."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from jml.people import Cause
from jml.schedule import Offboarding, State
from shared.clock import from_text, to_text
from shared.errors import Conflict
from shared.ports import Row, TableStore, Value
from shared.rows import put
from shared.telemetry import report

PEOPLE, SCHEDULE, RUNS = "people", "schedule", "runs"


@dataclass(frozen=True)
class Link:
    """A person's accounts in the MSSP tenant, and the newest run about them.

    `generation` rises with every run of the person: a run of an older one has been overtaken. `revision` is the newest
    run's. `version` is for compare-and-swap.
    """

    person: str
    accounts: frozenset[str] = frozenset()
    generation: int = 0
    run: str = ""
    revision: int = 0
    version: str = field(default="", compare=False)


@dataclass(frozen=True)
class Scheduled:
    """An offboarding as it was read."""

    offboarding: Offboarding
    version: str = ""


class RunState(StrEnum):
    OPEN = "open"
    WAITING = "waiting"
    CLOSED = "closed"


@dataclass(frozen=True)
class RunRecord:
    """A run's row: where it stands; what it did is in the ledger. `attempt` counts its messages."""

    id: str
    person: str
    generation: int
    opened_at: datetime
    state: RunState = RunState.OPEN
    attempt: int = 0
    outcome: str = ""
    resume_at: datetime | None = None
    closed_at: datetime | None = None
    version: str = field(default="", compare=False)


class People:
    """Table `people`: key is the corporate object id."""

    PARTITION = "person"

    def __init__(self, store: TableStore) -> None:
        self._store = store

    async def get(self, person: str) -> Link | None:
        row = await self._store.get(PEOPLE, self.PARTITION, person)
        return None if row is None else _link(row)

    async def all(self) -> AsyncIterator[Link]:
        async for row in self._store.query(PEOPLE, self.PARTITION):
            yield _link(row)

    async def put(self, link: Link) -> Link:
        """Insert a new row, or replace the version that was read; Conflict when it has changed since."""
        values: dict[str, Value] = {
            "accounts": json.dumps(sorted(link.accounts)),
            "generation": link.generation,
            "run": link.run,
            "revision": link.revision,
        }
        return replace(
            link, version=await put(self._store, PEOPLE, Row(self.PARTITION, link.person, values, link.version))
        )

    async def forget_accounts(self, person: str) -> None:
        """The accounts are gone: there is nobody left to watch."""
        link = await self.get(person)
        if link is not None and link.accounts:
            await self.put(replace(link, accounts=frozenset()))


def overtake(link: Link, run: str, revision: int, row: Offboarding | None) -> Link | None:
    """The person's row with `run` as the newest; None when an event of a newer revision has begun before it.

    An event counts as newer only as far as the schedule (`row`) knows it, and what the schedule says now is never old:
    neither a made-up revision nor the loss of the schedule keeps later events out.
    """
    if link.run == run:
        return link
    known = min(revision, row.revision) if row else 0
    if known < link.revision and not (row and revision == row.revision):
        return None
    return replace(link, generation=link.generation + 1, run=run, revision=known)


async def is_over(store: TableStore, person: str) -> bool:
    """Whether the person's newest run has ended, or is not there."""
    link = await People(store).get(person)
    run = await Runs(store).get(link.run) if link and link.run else None
    return run is None or run.state is RunState.CLOSED


class Schedule:
    """Table `schedule`: key is the corporate object id."""

    PARTITION = "leaver"

    def __init__(self, store: TableStore) -> None:
        self._store = store

    async def get(self, person: str) -> Scheduled | None:
        row = await self._store.get(SCHEDULE, self.PARTITION, person)
        return None if row is None else _scheduled(row)

    async def all(self) -> AsyncIterator[Scheduled]:
        async for row in self._store.query(SCHEDULE, self.PARTITION):
            yield _scheduled(row)

    async def pending(self) -> AsyncIterator[Scheduled]:
        """What is still to be sent, of every past and coming day."""
        for state in (State.SCHEDULED, State.RETAINED):
            async for one in self.of_state(state):
                yield one

    async def of_state(self, state: State) -> AsyncIterator[Scheduled]:
        async for row in self._store.query(SCHEDULE, self.PARTITION, {"state": state.value}):
            yield _scheduled(row)

    async def put(self, offboarding: Offboarding, version: str) -> str:
        """Insert (no version) or replace what was read; Conflict when it has changed since. Gives the new version."""
        row = Row(self.PARTITION, offboarding.person, _schedule_values(offboarding), version)
        return await put(self._store, SCHEDULE, row)

    async def try_put(self, offboarding: Offboarding, version: str) -> bool:
        """The same, or False when somebody else wrote first: what they wrote is looked at by whoever comes next."""
        try:
            await self.put(offboarding, version)
        except Conflict:
            report("offboarding changed meanwhile", person=offboarding.person)
            return False
        return True


class Runs:
    """Table `runs`: key is the run's id, which is its event's."""

    PARTITION = "run"

    def __init__(self, store: TableStore) -> None:
        self._store = store

    async def get(self, run: str) -> RunRecord | None:
        row = await self._store.get(RUNS, self.PARTITION, run)
        return None if row is None else _run(row)

    async def page(
        self, where: Mapping[str, Value], size: int, continuation: str | None
    ) -> tuple[list[RunRecord], str | None]:
        rows, more = await self._store.page(RUNS, self.PARTITION, where, size, continuation)
        return [_run(row) for row in rows], more

    async def put(self, run: RunRecord) -> RunRecord:
        """Insert a new row, or replace the version that was read; Conflict when it has changed since."""
        values: dict[str, Value] = {
            "person": run.person,
            "generation": run.generation,
            "opened_at": to_text(run.opened_at),
            "state": run.state.value,
            "attempt": run.attempt,
            "outcome": run.outcome,
            "resume_at": to_text(run.resume_at) if run.resume_at else "",
            "closed_at": to_text(run.closed_at) if run.closed_at else "",
        }
        return replace(run, version=await put(self._store, RUNS, Row(self.PARTITION, run.id, values, run.version)))


def _link(row: Row) -> Link:
    accounts = frozenset(json.loads(str(row.values["accounts"])))
    text = {name: str(value) for name, value in row.values.items()}
    return Link(row.key, accounts, int(text["generation"]), text["run"], int(text["revision"]), row.version)


def _schedule_values(one: Offboarding) -> dict[str, Value]:
    return {
        "revision": one.revision,
        "state": one.state.value,
        "due": to_text(one.due),
        "effective": to_text(one.effective),
        "cause": one.cause.value,
        "written": one.written,
        "zone": one.zone,
        "released_at": to_text(one.released_at) if one.released_at else "",
        "tries": one.tries,
        "hold": one.hold,
    }


def _scheduled(row: Row) -> Scheduled:
    text = {name: str(value) for name, value in row.values.items()}
    offboarding = Offboarding(
        person=row.key,
        revision=int(text["revision"]),
        state=State(text["state"]),
        due=from_text(text["due"]),
        effective=from_text(text["effective"]),
        cause=Cause(text["cause"]),
        written=text["written"],
        zone=text["zone"],
        released_at=_instant(text["released_at"]),
        tries=int(text["tries"]),
        hold=text.get("hold", ""),
    )
    return Scheduled(offboarding, row.version)


def _run(row: Row) -> RunRecord:
    text = {name: str(value) for name, value in row.values.items()}
    return RunRecord(
        id=row.key,
        person=text["person"],
        generation=int(text["generation"]),
        opened_at=from_text(text["opened_at"]),
        state=RunState(text["state"]),
        attempt=int(text["attempt"]),
        outcome=text["outcome"],
        resume_at=_instant(text["resume_at"]),
        closed_at=_instant(text["closed_at"]),
        version=row.version,
    )


def _instant(text: str) -> datetime | None:
    return from_text(text) if text else None
