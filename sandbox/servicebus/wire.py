"""AMQP 1.0 messages as bytes, taken apart by section: what a sender wrote is passed on untouched.

Sections: https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-messaging-v1.0-os.html#section-message-format
Service Bus annotations: https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-protocol-guide
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from proton import Data, DataException, Described, symbol, timestamp, uint, ulong

from sandbox.servicebus.errors import MalformedError
from sandbox.servicebus.message import Content, Message

HEADER, ANNOTATIONS, PROPERTIES, APPLICATION, BODY_DATA, BODY_VALUE, FOOTER = (
    0x70, 0x72, 0x73, 0x74, 0x75, 0x77, 0x78,
)  # fmt: skip
DELIVERY_ANNOTATIONS = 0x71
REWRITTEN = frozenset({HEADER, DELIVERY_ANNOTATIONS, ANNOTATIONS, APPLICATION})
MESSAGE_ID, GROUP_ID = 0, 10  # fields of the properties section
DELIVERY_COUNT = 4  # field of the header section
SHAPES: dict[int, type] = {
    HEADER: list,
    DELIVERY_ANNOTATIONS: dict,
    ANNOTATIONS: dict,
    PROPERTIES: list,
    APPLICATION: dict,
    BODY_DATA: bytes,
    FOOTER: dict,
}
"""What a section holds; a body may also be a value of any type."""
SCHEDULED_TIME = symbol("x-opt-scheduled-enqueue-time")

_FIXED_WIDTH = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}
_SIZE_BYTES = {0xA: ">B", 0xC: ">B", 0xE: ">B", 0xB: ">I", 0xD: ">I", 0xF: ">I"}


@dataclass(frozen=True, slots=True)
class Section:
    code: int
    raw: bytes

    def value(self) -> Any:
        return decode(self.raw).value


def split(raw: bytes) -> list[Section]:
    """The sections of one encoded message, by length alone."""
    sections, offset = [], 0
    try:
        while offset < len(raw):
            code, body = _descriptor(raw, offset)
            end = _value_end(raw, body)
            if end > len(raw):
                raise MalformedError("The message ends in the middle of a section.")
            sections.append(Section(code, raw[offset:end]))
            offset = end
    except (IndexError, struct.error, KeyError, RecursionError) as error:
        raise MalformedError("The message is not a sequence of AMQP sections.") from error
    if not sections:
        raise MalformedError("The message is empty.")
    return sections


def _descriptor(raw: bytes, offset: int) -> tuple[int, int]:
    """The section's code and where its value starts."""
    if raw[offset] != 0:
        raise MalformedError("A section does not start with a descriptor.")
    if raw[offset + 1] == 0x53:
        code, body = raw[offset + 2], offset + 3
    elif raw[offset + 1] == 0x80:
        code, body = struct.unpack_from(">Q", raw, offset + 2)[0], offset + 10
    else:
        raise MalformedError("A section's descriptor is not a number.")
    if not HEADER <= code <= FOOTER:
        raise MalformedError(f"0x{code:x} is not a section of a message.")
    return code, body


def _value_end(raw: bytes, offset: int) -> int:
    constructor = raw[offset]
    if constructor == 0:  # a described value: its descriptor, then its value
        return _value_end(raw, _value_end(raw, offset + 1))
    category = constructor >> 4
    if category in _FIXED_WIDTH:
        return offset + 1 + _FIXED_WIDTH[category]
    size_format = _SIZE_BYTES[category]
    return offset + 1 + struct.calcsize(size_format) + int(struct.unpack_from(size_format, raw, offset + 1)[0])


def decode(raw: bytes) -> Any:
    data = Data()
    try:
        data.decode(raw)
        data.rewind()
        data.next()
        return _owned(data.get_object())
    except (DataException, ValueError, TypeError, OverflowError) as error:
        raise MalformedError("A section of the message cannot be decoded.") from error


def _owned(value: Any) -> Any:
    """Proton's binaries are views of memory that is freed with the decoder: copied before that happens."""
    match value:
        case memoryview():
            return bytes(value)
        case dict():
            return {key: _owned(item) for key, item in value.items()}
        case list():
            return [_owned(item) for item in value]
        case Described():
            return Described(value.descriptor, _owned(value.value))
    return value


def encode(code: int, value: Any) -> bytes:
    data = Data()
    data.put_object(Described(ulong(code), value))
    return bytes(data.encode())


def read_batch(raw: bytes) -> list[Content]:
    """One message, or the messages of a batch.

    A batch is announced by the transfer's message-format, which Proton does not show; it is known by what
    it is: data sections, each of them an encoded message with a body.
    """
    sections = split(raw)
    parts = [section.value() for section in sections if section.code == BODY_DATA]
    if parts and all(_is_message(part) for part in parts):
        return [read_content(part) for part in parts]
    return [read_content(raw)]


def _is_message(raw: bytes) -> bool:
    try:
        codes = {section.code for section in split(raw)}
    except MalformedError:
        return False
    return any(BODY_DATA <= code <= BODY_VALUE for code in codes)


def read_content(raw: bytes) -> Content:
    """Every section is read once on the way in, so that nothing unreadable is ever delivered."""
    values: dict[int, Any] = {}
    for section in split(raw):
        values[section.code] = value = section.value()
        if not isinstance(value, SHAPES.get(section.code, object)):
            raise MalformedError(f"Section 0x{section.code:x} of the message has the wrong type.")
    properties = values.get(PROPERTIES, [])
    due = values.get(ANNOTATIONS, {}).get(SCHEDULED_TIME)
    if not isinstance(due, int | None):
        raise MalformedError(f"{SCHEDULED_TIME} is not a time.")
    return Content(
        payload=raw,
        message_id=_text(properties, MESSAGE_ID),
        session_id=_text(properties, GROUP_ID),
        due_at=None if due is None else due / 1000,
    )


def _text(fields: list[Any], index: int) -> str | None:
    value = fields[index] if index < len(fields) else None
    return None if value is None else str(value)


def encode_message(message: Message, locked_until: float | None) -> bytes:
    """As the sender wrote it, with the broker's delivery count, annotations and dead-letter reason."""
    by_code = {section.code: section for section in split(message.content.payload)}
    parts = [
        encode(HEADER, _header(by_code.get(HEADER), message)),
        encode(ANNOTATIONS, _annotations(by_code.get(ANNOTATIONS), message, locked_until)),
    ]
    rest = [section for section in split(message.content.payload) if section.code not in REWRITTEN]
    parts += [section.raw for section in rest if section.code == PROPERTIES]
    application = _application(by_code.get(APPLICATION), message)
    if application:
        parts.append(encode(APPLICATION, application))
    parts += [section.raw for section in rest if section.code != PROPERTIES]
    return b"".join(parts)


def _header(section: Section | None, message: Message) -> list[Any]:
    """The count is written out even when it is 0: the SDK reads a missing one as None."""
    fields = list(section.value()) if section else []
    fields += [None] * (DELIVERY_COUNT + 1 - len(fields))
    fields[DELIVERY_COUNT] = uint(message.deliveries)
    return fields


def _annotations(section: Section | None, message: Message, locked_until: float | None) -> dict[Any, Any]:
    annotations: dict[Any, Any] = dict(section.value()) if section else {}
    annotations[symbol("x-opt-sequence-number")] = message.sequence
    annotations[symbol("x-opt-enqueued-time")] = milliseconds(message.enqueued_at)
    annotations[symbol("x-opt-message-state")] = int(message.state)
    if locked_until is not None:
        annotations[symbol("x-opt-locked-until")] = milliseconds(locked_until)
    if message.dead_letter is not None:
        annotations[symbol("x-opt-deadletter-source")] = message.dead_letter.source
    return annotations


def _application(section: Section | None, message: Message) -> dict[str, Any]:
    properties: dict[str, Any] = dict(section.value()) if section else {}
    if message.dead_letter is not None:
        properties["DeadLetterReason"] = message.dead_letter.reason
        properties["DeadLetterErrorDescription"] = message.dead_letter.description
    return {key: value for key, value in properties.items() if value is not None}


def application_properties(message: Message) -> dict[str, Any]:
    sections = split(message.content.payload)
    return _application(next((s for s in sections if s.code == APPLICATION), None), message)


def body(message: Message) -> Any:
    """Bytes of the data sections, or the one value of a message whose body is a value."""
    sections = split(message.content.payload)
    values = [section.value() for section in sections if section.code == BODY_VALUE]
    return values[0] if values else b"".join(s.value() for s in sections if s.code == BODY_DATA)


def milliseconds(moment: float) -> Any:
    return timestamp(round(moment * 1000))


def ticks(moment: float) -> int:
    """100 ns since the year 1, as .NET counts; the unit of a session's `com.microsoft:locked-until-utc`."""
    return int(moment * 10_000_000) + 621_355_968_000_000_000
