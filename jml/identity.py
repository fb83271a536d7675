"""Ids made from content: who an account belongs to, and which event is which, without a table to look them up."""

from __future__ import annotations

import base64
import hashlib
import uuid
from datetime import datetime

from shared.clock import to_text

EVENTS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:jml:events:v1")
"""Namespace of event ids; a change of what goes into an id takes a new version."""


def person_key(corporate_tenant: str, person: str) -> str:
    """The pseudonymous key of a person, carried by every account of theirs in `employeeId`.

    16 characters (the limit of `employeeId`), 80 bits of SHA-256 over tenant and object id: the link survives the loss
    of the table, and tells nothing to somebody who does not know the corporate object id.
    """
    digest = hashlib.sha256(f"jml:v1:{corporate_tenant.lower()}:{person.lower()}".encode()).digest()
    return base64.b32encode(digest[:10]).decode().lower()


def event_id(kind: str, tenant: str, person: str, effective: datetime, revision: int) -> str:
    """The id of the one event that a person, a kind, an instant and a revision make, however often it is raised."""
    return str(uuid.uuid5(EVENTS, "|".join([kind, tenant, person, to_text(effective), str(revision)])))
