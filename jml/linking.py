"""Adopting today's accounts: a file of persons and accounts, planned first, applied on demand.

Without a link nobody is watched. A link is two things that must agree: a row in the table, and the person's key in the
account's `employeeId`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jml.accounts import Account
from jml.gather import read_account
from jml.identity import person_key
from jml.people import Presence
from jml.services import Services
from jml.state import Link, People
from shared.errors import InvalidConfiguration
from shared.guid import GUID
from shared.ports import Call
from shared.replies import describe, expect

_SELECT = "$select=id,accountEnabled,employeeId"
_NEEDS = "User.Read.All in the MSSP tenant"


class Action(StrEnum):
    """What a line of the file comes to."""

    LINK = "link"
    ALREADY = "already linked"
    CONFLICT = "conflict"
    DONE = "linked"


@dataclass(frozen=True)
class Wanted:
    """A line of the file: a corporate object id, and an account by object id or user principal name."""

    line: int
    person: str
    account: str


@dataclass(frozen=True)
class Planned:
    """What is to be done about a line. `stamp`: the key still has to be written on the account."""

    wanted: Wanted
    action: Action
    account: str = ""
    reason: str = ""
    stamp: bool = False

    def cells(self) -> tuple[str, ...]:
        account = self.account or self.wanted.account
        return str(self.wanted.line), self.action.value, self.wanted.person, account, self.reason


def read_links(path: Path) -> list[Wanted]:
    """The lines of a CSV (header `person,account`) or of a JSON list of objects with the same two names.

    Raises InvalidConfiguration naming each line that is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = _json_rows(text) if path.suffix.lower() == ".json" else _csv_rows(text)
    except (OSError, ValueError) as error:
        raise InvalidConfiguration(f"links {path}", [str(error)]) from error
    wanted = [
        Wanted(line, str(row.get("person") or "").strip().lower(), str(row.get("account") or "").strip())
        for line, row in rows
    ]
    problems = [
        f"line {w.line}: person: a corporate object id was expected" for w in wanted if not GUID.match(w.person)
    ]
    problems += [
        f"line {w.line}: account: an object id or user principal name was expected" for w in wanted if not w.account
    ]
    if problems or not wanted:
        raise InvalidConfiguration(f"links {path}", problems or ["there is no line in it"])
    return wanted


def _csv_rows(text: str) -> list[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text))
    if {"person", "account"} - set(reader.fieldnames or ()):
        raise ValueError("line 1: a header with person and account was expected")
    return [(reader.line_num, row) for row in reader]


def _json_rows(text: str) -> list[tuple[int, Mapping[str, Any]]]:
    document = json.loads(text)
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise ValueError("a list of objects with person and account was expected")
    return list(enumerate(document, 1))


async def plan_links(services: Services, wanted: Sequence[Wanted]) -> list[Planned]:
    """What each line comes to: nothing is written."""
    people, _ = await services.corporate_tenant.people(sorted({one.person for one in wanted}))
    known = {person.id for person in people if person.presence is not Presence.GONE}
    graph = services.graph(services.mssp)
    replies = await graph.send([Call("GET", f"/users/{quote(one.account, safe='')}?{_SELECT}") for one in wanted])
    links = {link.person: link async for link in People(services.store).all()}
    owner = {account: link.person for link in links.values() for account in link.accounts}
    planned: list[Planned] = []
    for one, reply in zip(wanted, replies, strict=True):
        if one.person not in known:
            planned.append(Planned(one, Action.CONFLICT, reason="no such person in the corporate tenant"))
        elif reply.status == 404:
            planned.append(Planned(one, Action.CONFLICT, reason="no such account in the MSSP tenant"))
        else:
            item = expect(reply, f"line {one.line}: account", _NEEDS)
            plan = _plan(one, read_account(item), owner, services)
            owner.setdefault(plan.account, one.person)
            planned.append(plan)
    return planned


def _plan(one: Wanted, account: Account, owner: Mapping[str, str], services: Services) -> Planned:
    key = person_key(services.corporate, one.person)
    other = owner.get(account.id, one.person)
    if other != one.person:
        return Planned(one, Action.CONFLICT, account.id, f"the account is linked to person {other}")
    if account.key not in ("", key):
        reason = f"employeeId is {account.key!r}, not the person's key {key!r}: clear it first if it may go"
        return Planned(one, Action.CONFLICT, account.id, reason)
    if account.id in services.policy.protected_accounts:
        return Planned(one, Action.CONFLICT, account.id, "the account is protected by the policy")
    if account.id in owner and account.key == key:
        return Planned(one, Action.ALREADY, account.id)
    return Planned(one, Action.LINK, account.id, stamp=account.key != key)


async def apply_links(services: Services, planned: Sequence[Planned]) -> list[Planned]:
    """Stamp the keys, then write the rows; lines that cannot be carried out become conflicts."""
    graph = services.graph(services.mssp)
    todo = [one for one in planned if one.action is Action.LINK]
    stamps = [one for one in todo if one.stamp]
    keys = {one.account: person_key(services.corporate, one.wanted.person) for one in stamps}
    replies = await graph.send(
        [Call("PATCH", f"/users/{one.account}", {"employeeId": keys[one.account]}) for one in stamps]
    )
    failed = {one.account: describe(reply) for one, reply in zip(stamps, replies, strict=True) if not reply.ok}
    results: list[Planned] = []
    for one in planned:
        if one.action is not Action.LINK:
            results.append(one)
        elif one.account in failed:
            results.append(
                replace(one, action=Action.CONFLICT, reason=f"employeeId was refused: {failed[one.account]}")
            )
        else:
            people = People(services.store)
            link = await people.get(one.wanted.person) or Link(one.wanted.person)
            await people.put(replace(link, accounts=link.accounts | {one.account}))
            results.append(replace(one, action=Action.DONE, stamp=False))
    return results
