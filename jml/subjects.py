"""Nobody decides about themselves: caller and subject are compared as persons."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from jml.gather import MsspTenant
from jml.identity import person_key
from shared.authorisation import Caller, Forbidden


@dataclass(frozen=True)
class Subjects:
    """`tenant`: the corporate tenant's id."""

    tenant: str
    mssp: MsspTenant

    async def keep_apart(self, caller: Caller, people: Mapping[str, Collection[str]]) -> None:
        """Raises Forbidden when the caller is one of `people` (person → linked accounts).

        Both the link and the key on the caller's own account say so: the table may be lost, the key may be missing.
        """
        key = await self.mssp.key_of(caller.object_id)
        linked = any(caller.object_id in accounts for accounts in people.values())
        if linked or (key and key in {person_key(self.tenant, person) for person in people}):
            raise Forbidden("nobody decides about themselves: somebody else has to")
