"""Reading the MSSP tenant: a person's accounts, what they have, and who else could administer the tenant.

A reading is the whole truth of what it names, or it raises: unknown is never empty.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from jml.accounts import GLOBAL_ADMINISTRATOR, Account, Administrators, Holdings
from jml.holdings import READINGS, UNLICENSED, Reading, weigh
from jml.requests import PACKAGE_REQUESTS
from jml.truth import MOST_IDS, by_ids
from shared.clock import from_text
from shared.errors import Denied, Refused, Transient
from shared.plan import Finding
from shared.ports import Call, Graph, Reply
from shared.replies import describe, expect

_FIELDS = (
    "id",
    "accountEnabled",
    "signInSessionsValidFromDateTime",
    "employeeId",
    "onPremisesExtensionAttributes",
    "mail",
    "userPrincipalName",
)
_SELECT = "$select=" + ",".join(_FIELDS)
_NEEDS = "User.Read.All in the MSSP tenant"
_NEEDS_ROLES = "RoleManagement.ReadWrite.Directory in the MSSP tenant"
_NEEDS_GUESTS = "User.Read.All in the customer tenant"
_ADMINS = (
    f"/roleManagement/directory/roleAssignments?$filter=roleDefinitionId eq '{GLOBAL_ADMINISTRATOR}'&$expand=principal"
)
GAVE_UP = frozenset({"denied", "deliveryFailed", "canceled"})
"""States in which a request about an access package has ended without effect (Microsoft: accessPackageRequestState)."""
GUEST_UNKNOWN = "guest unknown"
"""Kind of the finding for a customer tenant that could not be asked."""


def literal(text: str) -> str:
    """A string of a `$filter`, ready for a URL: quotes doubled, everything else escaped."""
    return quote("'" + text.replace("'", "''") + "'", safe="'")


def user_path(account: str) -> str:
    return f"/users/{quote(account, safe='')}"


def read_account(item: Mapping[str, Any]) -> Account:
    """A Graph user of the MSSP tenant, as selected for a run."""
    since = item.get("signInSessionsValidFromDateTime")
    marks = item.get("onPremisesExtensionAttributes") or {}
    return Account(
        id=str(item["id"]),
        enabled=item.get("accountEnabled") is not False,
        sessions_valid_from=from_text(since) if since else None,
        key=str(item.get("employeeId") or ""),
        marks={name: value for name, value in marks.items() if value},
        addresses=frozenset(str(item[name]) for name in ("mail", "userPrincipalName") if item.get(name)),
    )


def _all_of(account: str) -> list[Call]:
    """The account itself, and one reading of each kind of thing that it may have."""
    readings = [Call("GET", reading.path.format(id=account)) for reading in READINGS]
    return [Call("GET", f"{user_path(account)}?{_SELECT}"), *readings]


def _progress(package_request: str) -> Call:
    return Call("GET", f"{PACKAGE_REQUESTS}/{quote(package_request, safe='')}")


def _given_up(replies: Sequence[Reply]) -> dict[str, str]:
    """Requests about packages that have ended without effect, and how."""
    bodies = [reply.body for reply in replies if reply.ok]
    return {str(b["id"]): f"the request ended {b['state']}" for b in bodies if b.get("state") in GAVE_UP}


class MsspTenant:
    """Accounts, as the MSSP tenant shows them now. `customers`: a Graph for each tenant to look for guests in."""

    def __init__(self, graph: Graph, customers: Mapping[str, Graph]) -> None:
        self._graph = graph
        self._customers = customers

    async def accounts(self, linked: Iterable[str], key: str) -> tuple[dict[str, Account], dict[str, Account], Any]:
        """Accounts by link, accounts by `key`, and the assignments of Global Administrator: one round trip."""
        ids = sorted(linked)
        by_key = Call("GET", f"/users?$filter=employeeId eq {literal(key)}&{_SELECT}")
        by_id = [Call("GET", f"{user_path(one)}?{_SELECT}") for one in ids]
        keyed, admins, *single = await self._graph.send([by_key, Call("GET", _ADMINS), *by_id], urgent=True)
        expect(keyed, "accounts by employeeId", _NEEDS)
        expect(admins, "Global Administrators", _NEEDS_ROLES)
        of_key = {str(item["id"]): read_account(item) for item in await self._graph.follow(keyed, urgent=True)}
        return self._present(ids, single), of_key, await self._graph.follow(admins, urgent=True)

    def _present(self, ids: Sequence[str], replies: Sequence[Reply]) -> dict[str, Account]:
        """Those that are there; a 404 says that an account is gone, anything else but success raises."""
        there = [(one, reply) for one, reply in zip(ids, replies, strict=True) if reply.status != 404]
        return {one: read_account(expect(reply, f"account {one}", _NEEDS)) for one, reply in there}

    async def administrators(self, accounts: Iterable[str], assignments: Sequence[Mapping[str, Any]]) -> Administrators:
        """Which of a person's accounts are Global Administrators, and who else is one and can sign in."""
        mine = set(accounts)
        principals = [item["principal"] for item in assignments if item.get("principal")]
        admins = {str(p["id"]) for p in principals if p.get("@odata.type") == "#microsoft.graph.user"}
        groups = [str(p["id"]) for p in principals if p.get("@odata.type") == "#microsoft.graph.group"]
        for group in groups:
            members = f"/groups/{group}/transitiveMembers?$select=id"
            async for page in self._graph.pages(members, urgent=True):
                admins |= {str(i["id"]) for i in page if i.get("@odata.type") == "#microsoft.graph.user"}
        if not mine & admins:
            return Administrators()
        others = sorted(admins - mine)
        calls = [Call("GET", f"{user_path(one)}?$select=id,accountEnabled") for one in others]
        replies = await self._graph.send(calls, urgent=True)
        there = [expect(reply, "other administrators", _NEEDS) for reply in replies if reply.status != 404]
        return Administrators(frozenset(mine & admins), frozenset(str(a["id"]) for a in there if a["accountEnabled"]))

    async def key_of(self, account: str) -> str:
        """The key of the person whose account this is; empty where it says none, or is not there."""
        [reply] = await self._graph.send([Call("GET", f"{user_path(account)}?$select=id,employeeId")])
        return "" if reply.status == 404 else str(expect(reply, "the caller's account", _NEEDS).get("employeeId") or "")

    async def enabled(self, accounts: Sequence[str]) -> frozenset[str]:
        """Which of these accounts exist and can sign in, a thousand a request."""
        chunks = [accounts[at : at + MOST_IDS] for at in range(0, len(accounts), MOST_IDS)]
        there: set[str] = set()
        for reply in await self._graph.send([by_ids(chunk, "$select=id,accountEnabled") for chunk in chunks]):
            expect(reply, "accounts of leavers", "Directory.Read.All in the MSSP tenant")
            items = await self._graph.follow(reply)
            there |= {str(item["id"]) for item in items if item.get("accountEnabled") is not False}
        return frozenset(there)

    async def holdings(
        self, accounts: Mapping[str, Account], references: Sequence[str]
    ) -> tuple[dict[str, Account], dict[str, Holdings], dict[str, str]]:
        """Each account as it is now with all that it has, and the requests that were given up, by their id.

        Everything is asked for together, in as few batches as it fits in.
        """
        ids = sorted(accounts)
        replies = await self._graph.send([*(call for one in ids for call in _all_of(one)), *map(_progress, references)])
        size = 1 + len(READINGS)
        of_accounts, of_requests = replies[: size * len(ids)], replies[size * len(ids) :]
        read = await asyncio.gather(
            *(self._account(one, of_accounts[at * size : (at + 1) * size]) for at, one in enumerate(ids))
        )
        there = [pair for pair in read if pair is not None]
        return {a.id: a for a, _ in there}, {a.id: held for a, held in there}, _given_up(of_requests)

    async def _account(self, known: str, answers: Sequence[Reply]) -> tuple[Account, Holdings] | None:
        user, *replies = answers
        if user.status == 404:
            return None
        account = read_account(expect(user, f"account {known}", _NEEDS))
        found = await asyncio.gather(*(self._items(*pair) for pair in zip(READINGS, replies, strict=True)))
        unread = {reading.name: why for reading, why in zip(READINGS, found, strict=True) if isinstance(why, str)}
        items = [[] if isinstance(one, str) else one for one in found]
        return account, weigh(known, {r.name: one for r, one in zip(READINGS, items, strict=True)}, unread)

    async def _items(self, reading: Reading, reply: Reply) -> list[Mapping[str, Any]] | str:
        """Every item of a reading, or why it was refused. A 404 of an account that is there is a lagging replica."""
        if reply.code in UNLICENSED:
            return []
        if reply.status == 404:
            raise Transient(f"{reading.name}: {describe(reply)}")
        try:
            expect(reply, reading.name, f"{reading.needs} in the MSSP tenant")
            return await self._graph.follow(reply)
        except (Denied, Refused) as refusal:
            return str(refusal)

    async def guests(self, account: Account) -> tuple[Finding, ...]:
        """Guest objects of the account in customer tenants: access that a run cannot end, and must not hide."""
        found = await asyncio.gather(*(self._guests_in(tenant, account) for tenant in self._customers))
        return tuple(finding for findings in found for finding in findings)

    async def _guests_in(self, tenant: str, account: Account) -> list[Finding]:
        addresses = ",".join(literal(address) for address in sorted(account.addresses))
        path = f"/users?$filter=userType eq 'Guest' and mail in ({addresses})&$select=id,accountEnabled"
        try:
            [reply] = await self._customers[tenant].send([Call("GET", path)])
            expect(reply, f"guests in tenant {tenant}", _NEEDS_GUESTS)
            guests = await self._customers[tenant].follow(reply)
        except (Denied, Refused, Transient) as error:
            facts = {"account": account.id, "tenant": tenant}
            return [Finding(f"{GUEST_UNKNOWN}:{account.id}:{tenant}", GUEST_UNKNOWN, str(error), facts)]
        return [
            Finding(
                f"guest:{account.id}:{tenant}:{guest['id']}",
                "guest",
                "access in a customer tenant: to be disabled or deleted there",
                {"account": account.id, "tenant": tenant, "object": str(guest["id"])},
            )
            for guest in guests
        ]
