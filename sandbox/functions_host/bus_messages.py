"""A received Service Bus message as the trigger data and metadata that the real host hands to the worker.

Microsoft: "Azure Service Bus trigger", message metadata. Strings go as strings, everything else as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.amqp import AmqpMessageBodyType

METADATA = {
    "MessageId": "message_id",
    "SessionId": "session_id",
    "SequenceNumber": "sequence_number",
    "EnqueuedSequenceNumber": "enqueued_sequence_number",
    "EnqueuedTimeUtc": "enqueued_time_utc",
    "ScheduledEnqueueTimeUtc": "scheduled_enqueue_time_utc",
    "ExpiresAtUtc": "expires_at_utc",
    "TimeToLive": "time_to_live",
    "LockedUntil": "locked_until_utc",
    "LockToken": "lock_token",
    "ContentType": "content_type",
    "CorrelationId": "correlation_id",
    "Subject": "subject",
    "Label": "subject",
    "To": "to",
    "ReplyTo": "reply_to",
    "ReplyToSessionId": "reply_to_session_id",
    "PartitionKey": "partition_key",
    "DeadLetterSource": "dead_letter_source",
    "DeadLetterReason": "dead_letter_reason",
    "DeadLetterErrorDescription": "dead_letter_error_description",
}


def body_of(message: ServiceBusReceivedMessage, protos: Any) -> Any:
    """Text as a string, anything else as bytes: an unreadable body must reach the app as it was sent."""
    if message.body_type != AmqpMessageBodyType.DATA:
        return protos.TypedData(string=str(message.body))
    content = b"".join(message.body)
    try:
        return protos.TypedData(string=content.decode())
    except UnicodeDecodeError:
        return protos.TypedData(bytes=content)


def metadata_of(message: ServiceBusReceivedMessage, protos: Any) -> dict[str, Any]:
    """`DeliveryCount` counts from 1: the .NET host adds one to what AMQP carries, the Python SDK does not."""
    values = {name: getattr(message, attribute) for name, attribute in METADATA.items()}
    properties = _plain(message.application_properties or {})
    values |= {
        "DeliveryCount": (message.delivery_count or 0) + 1,
        "State": int(message.state),
        "ApplicationProperties": properties,
        "UserProperties": properties,
    }
    return {name: _typed(value, protos) for name, value in values.items() if value is not None}


def _typed(value: Any, protos: Any) -> Any:
    plain = _plain(value)
    if isinstance(plain, str):
        return protos.TypedData(string=plain)
    return protos.TypedData(json=json.dumps(plain))


def _plain(value: Any) -> Any:
    match value:
        case bytes():
            return value.decode(errors="replace")
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case timedelta():
            return str(value) if value.days < 1 else f"{value.days}.{timedelta(seconds=value.seconds)}"
        case UUID():
            return str(value)
        case Mapping():
            return {_text(name): _plain(item) for name, item in value.items()}
        case _:
            return value


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
