"""The baseline: how many linked people the corporate tenant has. A source that shrinks at once is a fault, not a mass
leave: it changes nothing until it is whole again, or somebody accepts that it is so.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from jml.decisions import Decisions
from jml.people import Cause, Leaving, Person, Presence, Verdict
from jml.schedule import observe
from jml.state import Scheduled
from shared.authorisation import Caller
from shared.clock import Clock, from_text, to_text
from shared.errors import Conflict, NotThere, Undecidable
from shared.ports import Row, TableStore, Value
from shared.rows import put
from shared.telemetry import report, warn

TABLE, PARTITION, KEY = "breaker", "baseline", "fault"
QUESTIONS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:jml:baseline:v1")
ACCEPTED = "accepted"
SHOWN = 200
"""People of a fault who are named; the digest is of all."""


class Standing(StrEnum):
    GOOD = "good"
    FAULT = "fault"
    ACCEPTED = "accepted"


@dataclass(frozen=True)
class Baseline:
    """What the last sweep found. `digest`: of everybody who is newly gone or out of scope; `by`: who accepted it."""

    standing: Standing
    digest: str
    gone: int
    linked: int
    since: datetime
    people: tuple[str, ...] = ()
    by: str = ""
    version: str = field(default="", compare=False)

    @property
    def question(self) -> str:
        return str(uuid.uuid5(QUESTIONS, f"{self.digest} {to_text(self.since)}"))


def newly_gone(
    people: Collection[Person], verdicts: Mapping[str, Verdict], rows: Mapping[str, Scheduled], now: datetime
) -> list[str]:
    """Linked people who are not there, or not in scope, and of whom that was not known before. Pure."""
    gone = [p.id for p in people if p.presence is not Presence.PRESENT or _out_of_scope(verdicts[p.id])]
    return sorted(one for one in gone if _is_news(one, verdicts[one], rows, now))


def _out_of_scope(verdict: Verdict) -> bool:
    return isinstance(verdict, Leaving) and verdict.cause is Cause.OUT_OF_SCOPE


def _is_news(person: str, verdict: Verdict, rows: Mapping[str, Scheduled], now: datetime) -> bool:
    if not isinstance(verdict, Leaving):
        return True
    known = rows.get(person)
    return observe(known.offboarding if known else None, person, verdict, now) is not None


def shrunken(gone: int, linked: int, share: float) -> bool:
    """Whether so many at once are the source's fault: more than a share of the linked people, and more than one."""
    return gone > max(1, int(share * linked))


@dataclass(frozen=True)
class Baselines:
    store: TableStore
    decisions: Decisions
    clock: Clock

    async def get(self) -> Baseline | None:
        row = await self.store.get(TABLE, PARTITION, KEY)
        return None if row is None else _baseline(row)

    async def stands(self, gone: Collection[str], linked: int, share: float) -> bool:
        """Whether the sweep may believe what it read; a fault is written down, and ends when it is seen no more."""
        known, names = await self.get(), sorted(gone)
        digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
        if not shrunken(len(names), linked, share):
            if known is not None and known.standing is not Standing.GOOD:
                await self.decisions.answer(known.question, {"decision": "the source is whole again", "by": ""})
                await self._put(replace(known, standing=Standing.GOOD, people=()))
            return True
        if known is not None and known.digest == digest and known.standing is not Standing.GOOD:
            return known.standing is Standing.ACCEPTED
        if known is not None and known.standing is Standing.FAULT:
            await self.decisions.answer(known.question, {"decision": "it has changed since", "by": ""})
        version = known.version if known else ""
        now = self.clock.now()
        fault = Baseline(Standing.FAULT, digest, len(names), linked, now, tuple(names[:SHOWN]), version=version)
        facts = {"type": "jml.baseline", "digest": digest, "gone": len(names), "linked": linked}
        await self.decisions.open(fault.question, facts, [])
        await self._put(fault)
        warn("source shrunken", gone=len(names), linked=linked, digest=digest)
        return False

    async def accept(self, seen: str, caller: Caller) -> Baseline:
        """What the source shows is so: the next sweep believes it. Raises NotThere and Undecidable."""
        known = await self.get()
        if known is None or known.standing is Standing.GOOD:
            raise NotThere("the source is whole: there is nothing to accept")
        if known.digest != seen:
            raise Undecidable("digest: that of the fault now was expected, as GET /api/baseline shows it", known.digest)
        mine = {"decision": ACCEPTED, "by": caller.object_id, "digest": known.digest}
        stands = await self.decisions.answer(known.question, mine)
        if stands["decision"] != ACCEPTED:
            raise Undecidable("the source has changed since: look at it again")
        accepted = replace(known, standing=Standing.ACCEPTED, by=str(stands["by"]))
        await self._put(accepted)
        report("baseline accepted", by=accepted.by, gone=known.gone)
        return accepted

    async def _put(self, one: Baseline) -> None:
        values: dict[str, Value] = {
            "standing": one.standing.value,
            "digest": one.digest,
            "gone": one.gone,
            "linked": one.linked,
            "since": to_text(one.since),
            "people": json.dumps(one.people),
            "by": one.by,
        }
        row = Row(PARTITION, KEY, values, one.version)
        try:
            await put(self.store, TABLE, row)
        except Conflict as error:
            raise Undecidable("a sweep has looked at the same moment: look at it again") from error


def document(one: Baseline | None) -> dict[str, Any]:
    """What people are shown of the baseline."""
    if one is None or one.standing is Standing.GOOD:
        return {"state": Standing.GOOD.value}
    return {
        "state": one.standing.value,
        "digest": one.digest,
        "gone": one.gone,
        "linked": one.linked,
        "since": to_text(one.since),
        "people": list(one.people),
        **({"acceptedBy": one.by} if one.by else {}),
    }


def _baseline(row: Row) -> Baseline:
    text = {name: str(value) for name, value in row.values.items()}
    return Baseline(
        standing=Standing(text["standing"]),
        digest=text["digest"],
        gone=int(text["gone"]),
        linked=int(text["linked"]),
        since=from_text(text["since"]),
        people=tuple(json.loads(text["people"])),
        by=text["by"],
        version=row.version,
    )
