"""The leaver's steps: one effect on one object of the MSSP tenant each, frozen, named verb-noun, keyed by content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, get_args


@dataclass(frozen=True)
class _Step:
    account: str

    @property
    def kind(self) -> str:
        return type(self).__name__

    @cached_property
    def key(self) -> str:
        return ":".join([self.kind, *map(str, self.facts().values())])

    def facts(self) -> Mapping[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class DisableAccount(_Step):
    """`again`: the second try, after the privileges that kept the first from working are gone."""

    again: bool = False


@dataclass(frozen=True)
class RevokeSessions(_Step):
    pass


@dataclass(frozen=True)
class EndGroupAssignment(_Step):
    """Active membership or ownership (`access`) through PIM for groups."""

    group: str
    access: str


@dataclass(frozen=True)
class EndGroupEligibility(_Step):
    group: str
    access: str


@dataclass(frozen=True)
class EndRoleAssignment(_Step):
    """An Entra role held through PIM, now or for good, in a directory scope."""

    role: str
    scope: str


@dataclass(frozen=True)
class EndRoleEligibility(_Step):
    role: str
    scope: str


@dataclass(frozen=True)
class RemoveRoleAssignment(_Step):
    """An Entra role assigned outside PIM."""

    assignment: str


@dataclass(frozen=True)
class LeaveGroup(_Step):
    group: str


@dataclass(frozen=True)
class EndPackage(_Step):
    """An access package assignment; its end is delivered some time after it is asked for."""

    assignment: str


@dataclass(frozen=True)
class RemoveAppRole(_Step):
    assignment: str


@dataclass(frozen=True)
class RevokeGrant(_Step):
    """A delegated permission grant (OAuth2) of this user."""

    grant: str


@dataclass(frozen=True)
class RemoveMethod(_Step):
    """An authentication method, in the collection that Graph keeps its kind in. `again`: it was the default one."""

    collection: str
    method: str
    again: bool = False


@dataclass(frozen=True)
class MarkAccount(_Step):
    """Write on the account itself until when it is kept."""

    attribute: str
    until: str


@dataclass(frozen=True)
class DeleteAccount(_Step):
    pass


Removal = (
    EndGroupAssignment
    | EndGroupEligibility
    | EndRoleAssignment
    | EndRoleEligibility
    | RemoveRoleAssignment
    | LeaveGroup
    | EndPackage
    | RemoveAppRole
    | RevokeGrant
    | RemoveMethod
)
Containment = DisableAccount | RevokeSessions
LeaverStep = Containment | Removal | MarkAccount | DeleteAccount

_KINDS: dict[str, type[LeaverStep]] = {kind.__name__: kind for kind in get_args(LeaverStep)}


def recall(kind: str, facts: Mapping[str, Any]) -> LeaverStep:
    """The step of these facts, as the ledger kept them."""
    return _KINDS[kind](**facts)
