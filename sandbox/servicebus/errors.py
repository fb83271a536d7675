from __future__ import annotations


class QueueError(Exception):
    """A refusal that the client is told; how it is said in AMQP is a table in `conditions.py`."""


class MessageLockLostError(QueueError):
    def __init__(self) -> None:
        super().__init__(
            "The lock supplied is invalid. Either the lock expired, or the message has already been removed "
            "from the queue."
        )


class SessionLockLostError(QueueError):
    def __init__(self, session_id: str) -> None:
        super().__init__(f"The session lock on '{session_id}' has expired or is held by another receiver.")


class SessionCannotBeLockedError(QueueError):
    def __init__(self, session_id: str) -> None:
        super().__init__(
            f"The requested session '{session_id}' cannot be accepted. It may be locked by another receiver."
        )


class NoSessionAvailableError(QueueError):
    def __init__(self) -> None:
        super().__init__("No session had a message within the time that the receiver was ready to wait.")


class MessageNotFoundError(QueueError):
    def __init__(self, sequence: int) -> None:
        super().__init__(f"The message with sequence number {sequence} was not found in that state.")


class EntityNotFoundError(QueueError):
    def __init__(self, name: str) -> None:
        super().__init__(f"The messaging entity '{name}' could not be found.")


class NotAllowedError(QueueError):
    """The operation does not fit the entity, for example its session mode."""


class UnauthorizedError(QueueError):
    def __init__(self, name: str) -> None:
        super().__init__(f"Unauthorized access. 'Send' or 'Listen' claim is required for '{name}'.")


class MessageTooLargeError(QueueError):
    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"The received message (size: {size} bytes) exceeds the limit ({limit} bytes) currently allowed."
        )


class MalformedError(QueueError):
    """Bytes or arguments that are not what the protocol says they are."""


class UnknownOperationError(QueueError):
    def __init__(self, operation: str) -> None:
        super().__init__(f"The management operation '{operation}' is not implemented.")
