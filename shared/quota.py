"""What Microsoft allows an application in one tenant, as numbers: requests about identities, and what each costs.

Source: Microsoft Graph, "Service-specific throttling limits", identity and access (learn.microsoft.com/graph/
throttling-limits): resource units per application and tenant by the tenant's size, writes per application and tenant,
the cost of each request. A request of a `$batch` counts as one by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.ports import Call


@dataclass(frozen=True)
class Quota:
    """Both budgets slide: so much in any stretch of so many seconds.

    `units`: by the tenant's size, which nobody tells the app: fewer than 50 users, up to 500, more.
    """

    writes: float = 3000
    write_seconds: float = 150.0
    units: tuple[float, ...] = (3500, 5000, 8000)
    unit_seconds: float = 10.0

    def scaled(self, *, amount: float = 1.0, time: float = 1.0) -> Quota:
        """The same with a share of the amounts, in a share of the time: for tests and measurements."""
        return replace(
            self,
            writes=self.writes * amount,
            write_seconds=self.write_seconds * time,
            units=tuple(units * amount for units in self.units),
            unit_seconds=self.unit_seconds * time,
        )


DOCUMENTED = Quota()

COSTS = {
    "users": 2,
    "getByIds": 3,
    "members": 3,
    "memberOf": 2,
    "transitiveMembers": 5,
    "ownedObjects": 2,
    "appRoleAssignments": 2,
    "oauth2PermissionGrants": 2,
}
"""Last segment of a reading's path → its resource units; any other request costs 1."""
SMALL_PAGE = 20


def is_write(call: Call) -> bool:
    """Whether the request counts as a write: `getByIds` is a reading in spite of its method."""
    return call.method != "GET" and _last_segment(call) != "getByIds"


def units_of(call: Call) -> int:
    """A request's resource units, by the table: `$select` and a small `$top` make it cheaper, `$expand` dearer."""
    query = call.path.partition("?")[2]
    options = dict(option.partition("=")[::2] for option in query.split("&"))
    base = 1 if is_write(call) else COSTS.get(_last_segment(call), 1)
    top = options.get("$top", "")
    small = top.isdecimal() and int(top) < SMALL_PAGE
    return max(1, base - ("$select" in options) + ("$expand" in options) - small)


def _last_segment(call: Call) -> str:
    return call.path.partition("?")[0].rstrip("/").rpartition("/")[2]
