"""Lifecycle events: CloudEvents 1.0 in JSON, one for each (person, instant, revision) however often it is raised."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from jml.identity import event_id
from jml.leavedate import EARLIEST
from jml.people import Cause
from shared.clock import to_text
from shared.errors import InvalidEvent
from shared.ports import Message

QUEUE, REJECTED = "lifecycle", "rejected"
LEAVER = "jml.leaver"
MOST_BYTES = 64 * 1024
LATEST = datetime(9999, 12, 31, tzinfo=UTC)
Effective = Annotated[AwareDatetime, Field(ge=EARLIEST, le=LATEST)]
Guid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


@dataclass(frozen=True)
class LeaverEvent:
    """Somebody leaves, or is due for the deletion of their accounts: a hint to look at what the truth says now.

    `effective`: since when they leave, UTC.
    """

    tenant: str
    person: str
    effective: datetime
    revision: int
    cause: Cause
    written: str = ""
    zone: str = "UTC"
    due: datetime | None = None
    """When the event was to be sent, where that is not `effective`: the day of the deletion."""

    @property
    def id(self) -> str:
        return event_id(LEAVER, self.tenant, self.person, self.due or self.effective, self.revision)


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid")
    person: Guid
    tenant: Guid
    effective: Effective
    due: Effective | None = None
    revision: int = Field(ge=1, le=2**31 - 1)
    cause: Cause
    written: str = Field(max_length=64)
    zone: str = Field(max_length=64)


class _Envelope(BaseModel):
    model_config = ConfigDict(extra="forbid")
    specversion: Literal["1.0"]
    id: Guid
    source: str = Field(max_length=256)
    type: Literal["jml.leaver"]
    time: AwareDatetime
    datacontenttype: Literal["application/json"]
    data: _Data


def to_message(
    event: LeaverEvent, now: datetime, attempt: int | str = 0, not_before: datetime | None = None
) -> Message:
    """The event's message; a delayed one carries a higher attempt, or duplicate detection would swallow it."""
    document = {
        "specversion": "1.0",
        "id": event.id,
        "source": f"urn:jml:{event.tenant}",
        "type": LEAVER,
        "time": to_text(now),
        "datacontenttype": "application/json",
        "data": {
            "person": event.person,
            "tenant": event.tenant,
            "effective": to_text(event.effective),
            **({"due": to_text(event.due)} if event.due else {}),
            "revision": event.revision,
            "cause": event.cause.value,
            "written": event.written,
            "zone": event.zone,
        },
    }
    body = json.dumps(document, separators=(",", ":")).encode()
    return Message(QUEUE, f"{event.id}:{attempt}", body, session=event.person, not_before=not_before)


def parse(body: bytes, tenant: str) -> LeaverEvent:
    """The event in a message's body, for the corporate tenant `tenant`.

    Raises InvalidEvent naming the field and the expectation: no JSON, too large, an unknown type, another tenant, or
    an id that does not follow from the content.
    """
    if len(body) > MOST_BYTES:
        raise InvalidEvent(f"body: at most {MOST_BYTES} bytes were expected, {len(body)} came")
    try:
        envelope = _Envelope.model_validate_json(body)
    except ValidationError as error:
        raise InvalidEvent("; ".join(_problem(one["loc"], one["msg"]) for one in error.errors())) from error
    data = envelope.data
    event = LeaverEvent(
        tenant=data.tenant,
        person=data.person,
        effective=data.effective,
        revision=data.revision,
        cause=data.cause,
        written=data.written,
        zone=data.zone,
        due=data.due,
    )
    if data.tenant != tenant:
        raise InvalidEvent("data.tenant: the corporate tenant of this deployment was expected")
    if envelope.id != event.id:
        raise InvalidEvent("id: does not follow from person, instant and revision")
    return event


def _problem(location: tuple[int | str, ...], expectation: str) -> str:
    return f"{'.'.join(map(str, location)) or 'body'}: {expectation}"


def rejection(body: bytes, message_id: str, reason: str, now: datetime) -> Message:
    """What is kept of a message that cannot be read: its bytes as they came, and why."""
    properties = {"reason": reason[:1000], "rejectedAt": to_text(now), "messageId": message_id[:128]}
    return Message(REJECTED, message_id[:128] or to_text(now), body, properties=properties)
