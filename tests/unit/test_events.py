"""Lifecycle events as messages, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jml.events import LATEST, MOST_BYTES, LeaverEvent, parse, rejection, to_message
from jml.leavedate import EARLIEST
from jml.people import Cause
from shared.errors import InvalidEvent

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
TENANT, PERSON = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
EVENT = LeaverEvent(TENANT, PERSON, NOW, 3, Cause.DATE, "2026-03-02T10:00:00+01:00", "UTC")

EVENTS = st.builds(
    LeaverEvent,
    tenant=st.just(TENANT),
    person=st.uuids().map(str),
    effective=st.datetimes(EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None), timezones=st.just(UTC)),
    revision=st.integers(min_value=1, max_value=10**9),
    cause=st.sampled_from(Cause),
    written=st.text(max_size=64),
    zone=st.sampled_from(["UTC", "Europe/Zurich"]),
)


@given(EVENTS)
def test_an_event_that_is_sent_is_the_event_that_is_read(event: LeaverEvent) -> None:
    assert parse(to_message(event, NOW).body, TENANT) == event


def test_a_message_is_named_by_event_and_attempt_and_ordered_by_person() -> None:
    first, second = to_message(EVENT, NOW), to_message(EVENT, NOW, 1, NOW)
    assert first.id == f"{EVENT.id}:0"
    assert second.id == f"{EVENT.id}:1"
    assert first.body == second.body
    assert first.session == second.session == PERSON


def spoiled(path: str, value: Any) -> bytes:
    """The event's body with another value at a path; `...` takes it out."""
    document = json.loads(to_message(EVENT, NOW).body)
    *parents, last = path.split(".")
    target = document
    for name in parents:
        target = target[name]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("specversion", "0.3"),
        ("specversion", ...),
        ("id", "not-a-guid"),
        ("id", 7),
        ("source", "x" * 300),
        ("type", "jml.joiner"),
        ("type", "jml.leaver "),
        ("type", None),
        ("time", "yesterday"),
        ("time", "2026-03-02T09:00:00"),
        ("datacontenttype", "text/xml"),
        ("data", []),
        ("data", ...),
        ("data.person", "O'Brien/../x"),
        ("data.person", PERSON.upper().replace("2", "A")),
        ("data.person", f"{PERSON}\n"),
        ("data.tenant", 12),
        ("data.effective", "0001-01-01T00:00:00Z"),
        ("data.effective", "0001-01-01T00:00:00+14:00"),
        ("data.effective", "9999-12-31T23:59:59-14:00"),
        ("data.effective", "1899-12-31T23:59:59Z"),
        ("data.effective", "2026-03-02T09:00:00"),
        ("data.effective", None),
        ("data.effective", {}),
        ("data.revision", 0),
        ("data.revision", -1),
        ("data.revision", "one"),
        ("data.cause", "bored"),
        ("data.written", "x" * 65),
        ("data.zone", "x" * 65),
        ("data.surprise", 1),
        ("surprise", 1),
    ],
)
def test_a_malformed_field_is_refused_and_named(path: str, value: Any) -> None:
    with pytest.raises(InvalidEvent, match=path.replace(".", r"\.")):
        parse(spoiled(path, value), TENANT)


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b'"text"', b"\xff\xfe", b"\x00" * 10, b"[" * 5000])
def test_what_is_no_json_object_is_refused_as_a_body(body: bytes) -> None:
    with pytest.raises(InvalidEvent, match="body"):
        parse(body, TENANT)


def test_an_oversized_body_is_refused_unread() -> None:
    with pytest.raises(InvalidEvent, match=f"at most {MOST_BYTES} bytes"):
        parse(to_message(EVENT, NOW).body + b" " * MOST_BYTES, TENANT)


def test_every_mistake_is_named_at_once() -> None:
    document = json.loads(to_message(EVENT, NOW).body)
    document["type"], document["data"]["revision"] = "?", 0
    with pytest.raises(InvalidEvent, match=r"type: .*data\.revision: "):
        parse(json.dumps(document).encode(), TENANT)


def test_an_event_of_another_tenant_is_refused() -> None:
    with pytest.raises(InvalidEvent, match=r"data\.tenant"):
        parse(to_message(EVENT, NOW).body, "33333333-3333-4333-8333-333333333333")


@pytest.mark.parametrize(("path", "value"), [("data.revision", 4), ("id", PERSON), ("data.person", TENANT)])
def test_an_id_that_does_not_follow_from_the_content_is_refused(path: str, value: Any) -> None:
    with pytest.raises(InvalidEvent, match=r"^id: "):
        parse(spoiled(path, value), TENANT)


@given(st.binary(max_size=300))
def test_no_bytes_make_another_error_than_an_invalid_event(body: bytes) -> None:
    with pytest.raises(InvalidEvent):
        parse(body, TENANT)


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
NAMES = st.sampled_from(["id", "data", "type", "person"])


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=12))
def test_no_json_makes_another_error_than_an_invalid_event(document: Any) -> None:
    with pytest.raises(InvalidEvent):
        parse(json.dumps(document).encode(), TENANT)


def test_what_is_rejected_is_kept_whole_with_a_reason_that_fits() -> None:
    kept = rejection(b"\xff" * 10, "m" * 200, "r" * 5000, NOW)
    assert kept.queue == "rejected"
    assert kept.body == b"\xff" * 10
    assert len(kept.properties["reason"]) == 1000
    assert len(kept.id) <= 128
