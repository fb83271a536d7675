"""Sending to Service Bus. Receiving is the Functions host's work."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

from azure.core.credentials_async import AsyncTokenCredential
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusSender
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
    ServiceBusError,
)

from shared.errors import Denied, Refused, Transient
from shared.ports import Message
from shared.settings import Bus

NEEDS_SENDER = "the queue, and Azure Service Bus Data Sender on it for the managed identity"


class _Lane:
    """One queue's sender, used by one caller at a time: a sender of the SDK must not be shared by two that wait.

    Two that open it together, or again after a lost connection, close it under each other's hands (Microsoft:
    azure-servicebus, "Thread safety"). The next one waits for its turn instead.
    """

    def __init__(self, sender: ServiceBusSender) -> None:
        self.sender = sender
        self._turn = asyncio.Lock()

    async def send(self, messages: Sequence[ServiceBusMessage]) -> None:
        async with self._turn:
            await _send_all(self.sender, messages)

    async def reach(self) -> None:
        async with self._turn:
            await self.sender.create_message_batch()  # opens the link, which the namespace allows or not


class ServiceBus:
    """Messages over one namespace; senders stay open between calls."""

    def __init__(self, bus: Bus, credential: AsyncTokenCredential) -> None:
        if bus.connection_string:
            self._client = ServiceBusClient.from_connection_string(bus.connection_string)
        else:
            self._client = ServiceBusClient(bus.namespace, credential)
        self._lanes: dict[str, _Lane] = {}

    async def close(self) -> None:
        for lane in self._lanes.values():
            await lane.sender.close()
        await self._client.close()

    async def send(self, messages: Sequence[Message]) -> None:
        """In as few batches as the size limit allows; raises Refused for a message that is too large by itself."""
        for queue, group in groupby(messages, key=lambda message: message.queue):
            try:
                await self._lane(queue).send([_outgoing(message) for message in group])
            except MessageSizeExceededError as error:
                raise Refused(f"queue {queue}: a message is too large") from error
            except ServiceBusError as error:
                raise Transient(f"queue {queue}: {type(error).__name__}") from error

    async def reach(self, queue: str) -> None:
        try:
            await self._lane(queue).reach()
        except (ServiceBusAuthenticationError, ServiceBusAuthorizationError, MessagingEntityNotFoundError) as error:
            raise Denied(f"queue {queue}: {type(error).__name__}", NEEDS_SENDER) from error
        except ServiceBusError as error:
            raise Transient(f"queue {queue}: {type(error).__name__}") from error

    def _lane(self, queue: str) -> _Lane:
        if queue not in self._lanes:
            self._lanes[queue] = _Lane(self._client.get_queue_sender(queue))
        return self._lanes[queue]


async def _send_all(sender: ServiceBusSender, messages: Sequence[ServiceBusMessage]) -> None:
    batch = await sender.create_message_batch()
    for message in messages:
        try:
            batch.add_message(message)
        except MessageSizeExceededError:
            if len(batch) == 0:
                raise
            await sender.send_messages(batch)
            batch = await sender.create_message_batch()
            batch.add_message(message)
    await sender.send_messages(batch)


def _outgoing(message: Message) -> ServiceBusMessage:
    properties: dict[str | bytes, int | float | bytes | bool | str | UUID] = dict(message.properties.items())
    return ServiceBusMessage(
        message.body,
        message_id=message.id,
        session_id=message.session,
        content_type="application/cloudevents+json",
        scheduled_enqueue_time_utc=message.not_before,
        application_properties=properties,
    )
