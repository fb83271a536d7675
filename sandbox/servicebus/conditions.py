from __future__ import annotations

from typing import Any

from proton import Condition, symbol

from sandbox.servicebus import errors

CONDITIONS: dict[type[errors.QueueError], tuple[str, int]] = {
    errors.MessageLockLostError: ("com.microsoft:message-lock-lost", 410),
    errors.SessionLockLostError: ("com.microsoft:session-lock-lost", 410),
    errors.SessionCannotBeLockedError: ("com.microsoft:session-cannot-be-locked", 409),
    errors.NoSessionAvailableError: ("com.microsoft:timeout", 408),
    errors.MessageNotFoundError: ("com.microsoft:message-not-found", 404),
    errors.EntityNotFoundError: ("amqp:not-found", 404),
    errors.NotAllowedError: ("amqp:not-allowed", 400),
    errors.UnauthorizedError: ("amqp:unauthorized-access", 401),
    errors.MessageTooLargeError: ("amqp:link:message-size-exceeded", 413),
    errors.MalformedError: ("amqp:decode-error", 400),
    errors.UnknownOperationError: ("amqp:not-implemented", 501),
}
"""Error → AMQP condition and management status.

https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-troubleshoot
"""


def condition(error: errors.QueueError) -> Any:
    """With an info map: without one the SDK takes a rejection for silence and waits for its timeout."""
    name, status = CONDITIONS[type(error)]
    return Condition(name, str(error), {symbol("status-code"): status})
