"""A person's accounts in the MSSP tenant as one reading shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from jml.people import Leaving
from jml.steps import Removal
from shared.plan import Finding

GLOBAL_ADMINISTRATOR = "62e90394-69f5-4237-9190-012177145e10"
"""Template id of the role Global Administrator, the same in every tenant (Microsoft: Entra built-in roles)."""


@dataclass(frozen=True)
class Account:
    """One account. `key`: what `employeeId` says; `addresses`: where invitations to customer tenants would go."""

    id: str
    enabled: bool
    sessions_valid_from: datetime | None = None
    key: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)
    addresses: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Holdings:
    """All that an account has: what can be taken from it, and what stays, with the reason.

    `privileged`: it holds an Entra role now, or is a member or owner of a role-assignable group, so that Entra
    refuses to have it disabled by an app without a directory role of its own. `unread`: names of the readings that
    were refused, so that nothing is concluded from what they do not show.
    """

    removals: frozenset[Removal] = frozenset()
    stays: tuple[Finding, ...] = ()
    privileged: bool = False
    unread: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Administrators:
    """Global Administrators among a person's accounts and, where there are any, the others that can sign in."""

    mine: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()

    @property
    def last(self) -> frozenset[str]:
        """Accounts without which nobody could administer the tenant."""
        return frozenset() if self.others else self.mine


@dataclass(frozen=True)
class Snapshot:
    """The truth of one moment, complete for what it holds.

    `holdings` by account; an account without an entry was read for containment only. `given_up`: why the
    other side will not finish what it took, by step key.
    """

    leaving: Leaving
    accounts: Mapping[str, Account]
    administrators: Administrators = Administrators()
    holdings: Mapping[str, Holdings] = field(default_factory=dict)
    given_up: Mapping[str, str] = field(default_factory=dict)

    @property
    def deep(self) -> bool:
        return self.accounts.keys() <= self.holdings.keys()
