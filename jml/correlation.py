"""Which accounts are a person's: what the link table says and what the accounts say must agree. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from jml.accounts import Account
from shared.plan import RunOutcome


class Stopped(RuntimeError):
    """The run ends here, with this outcome, before or instead of any further write."""

    def __init__(self, outcome: RunOutcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome


def correlate(
    linked: frozenset[str], by_link: Mapping[str, Account], by_key: Mapping[str, Account], most: int
) -> Mapping[str, Account]:
    """The person's accounts.

    `linked`: ids in the link table; `by_link`: those of them that exist; `by_key`: accounts whose `employeeId` is the
    person's key. Without a link the key alone decides: it survives the loss of the table. Raises Stopped when there is
    nothing to do, when the two disagree, or when there are more than `most`.
    """
    if not linked and not by_key:
        raise Stopped(RunOutcome.LEFT_ALONE, "no account was ever linked to this person")
    if linked and by_link.keys() != by_key.keys():
        table, keys = (", ".join(sorted(ids)) or "none" for ids in (by_link, by_key))
        raise Stopped(RunOutcome.BLOCKED, f"the link table names {table}; employeeId names {keys}: make them agree")
    if len(by_key) > most:
        raise Stopped(RunOutcome.BLOCKED, f"{len(by_key)} accounts of one person; the policy limits them to {most}")
    return by_key
