"""Reading the corporate tenant: read only, and complete or an error."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from urllib.parse import quote

from jml.people import PERSON_FIELDS, Person, Presence, canary_sings, read_person
from jml.policy import Policy
from shared.clock import from_text, to_text
from shared.ports import Call, Graph
from shared.replies import expect

_SELECT = "$select=" + ",".join(PERSON_FIELDS)
_SELECT_DELETED = "$select=id,deletedDateTime"
"""Graph shows when somebody was deleted only to those who ask for it (Microsoft: user resource type)."""
_NEEDS = "User.Read.All and User-LifeCycleInfo.Read.All in the corporate tenant"
_NEEDS_MANY = "Directory.Read.All in the corporate tenant"
MOST_IDS = 1000
"""Ids that `directoryObjects/getByIds` takes at once (Microsoft Graph: directoryObject: getByIds)."""


def by_ids(ids: Sequence[str], select: str) -> Call:
    """One reading of many users; Graph leaves out who is not there."""
    return Call("POST", f"/directoryObjects/getByIds?{select}", {"ids": list(ids), "types": ["user"]})


class CorporateTenant:
    """People, as the corporate tenant shows them now."""

    def __init__(self, graph: Graph, policy: Policy) -> None:
        self._graph = graph
        self._canary = policy.leaver.canary

    @property
    def _canary_id(self) -> str | None:
        return str(self._canary.person) if self._canary else None

    def _is_home(self, found: Collection[str]) -> bool:
        """Whether this is the tenant we mean: where the canary is not, nobody counts as gone."""
        return self._canary_id is None or self._canary_id in found

    def _sings(self, people: Sequence[Person]) -> bool:
        return canary_sings(people, self._canary_id, self._canary.leave_date if self._canary else None)

    async def person(self, person: str) -> tuple[Person, bool]:
        """One person, and whether a null leave date means none. Raises as `expect` does."""
        ids = [person, *([self._canary_id] if self._canary_id else [])]
        calls = [Call("GET", f"/users/{quote(one, safe='')}?{_SELECT}") for one in ids]
        replies = await self._graph.send(calls, urgent=True)
        canary = [read_person(reply.body) for reply in replies[1:] if reply.ok]
        sings = self._sings(canary)
        if replies[0].status != 404:
            return read_person(expect(replies[0], f"person {person}", _NEEDS)), sings
        home = self._is_home([one.id for one in canary])
        return (await self._missing([person], home=home, urgent=True))[0], sings

    async def people(self, ids: Sequence[str]) -> tuple[list[Person], bool]:
        """Everybody of `ids`, a thousand a request; who is not there was deleted, or is gone for good."""
        wanted = [*ids, *([self._canary_id] if self._canary_id and self._canary_id not in ids else [])]
        calls = [by_ids(wanted[at : at + MOST_IDS], _SELECT) for at in range(0, len(wanted), MOST_IDS)]
        found: dict[str, Person] = {}
        for reply in await self._graph.send(calls):
            expect(reply, "linked people", _NEEDS_MANY)
            found |= {str(item["id"]): read_person(item) for item in await self._graph.follow(reply)}
        missing = [one for one in ids if one not in found]
        away = await self._missing(missing, home=self._is_home(found))
        return [*(found[one] for one in ids if one in found), *away], self._sings(list(found.values()))

    async def leaving_between(self, first: datetime, last: datetime) -> AsyncIterator[list[Person]]:
        """People whose leave date lies in the window, a page at a time."""
        window = f"employeeLeaveDateTime ge {to_text(first)} and employeeLeaveDateTime le {to_text(last)}"
        path = f"/users?$filter={quote(window)}&{_SELECT}&$top=999"
        async for page in self._graph.pages(path):
            yield [read_person(item) for item in page]

    async def _missing(self, ids: Sequence[str], *, home: bool, urgent: bool = False) -> list[Person]:
        """People who are not among the users: deleted ones say when; the others are gone for good, at `home`."""
        gone = Presence.GONE if home else Presence.UNREAD
        calls = [Call("GET", f"/directory/deletedItems/{quote(one, safe='')}?{_SELECT_DELETED}") for one in ids]
        people: list[Person] = []
        replies = await self._graph.send(calls, urgent=urgent) if calls else []
        for one, reply in zip(ids, replies, strict=True):
            if reply.status == 403:
                people.append(Person(one, Presence.UNREAD))
            elif reply.status == 404:
                people.append(Person(one, gone, enabled=False))
            else:
                when = expect(reply, f"deleted person {one}", _NEEDS).get("deletedDateTime")
                deleted_at = from_text(when) if when else None
                people.append(Person(one, Presence.DELETED, enabled=False, deleted_at=deleted_at))
        return people
