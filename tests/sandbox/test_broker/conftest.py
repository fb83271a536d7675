from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import azure.servicebus._base_handler
import azure.servicebus._pyamqp.client
import azure.servicebus._servicebus_receiver
import azure.servicebus._servicebus_sender
import pytest
from azure.servicebus import ServiceBusClient, ServiceBusReceiver, ServiceBusSender

from sandbox.servicebus import Broker, QueueSpec

QUEUES = {
    "plain": QueueSpec(),
    "Quick": QueueSpec(lock_s=0.6, max_delivery=2),
    "lifecycle": QueueSpec(sessions=True, duplicate_window_s=600, max_delivery=10),
    "brief": QueueSpec(sessions=True, lock_s=0.8),
    "once": QueueSpec(duplicate_window_s=600),
    "order": QueueSpec(sessions=True, max_delivery=100),
}


PAUSING: tuple[ModuleType, ...] = (
    azure.servicebus._base_handler,
    azure.servicebus._pyamqp.client,
    azure.servicebus._servicebus_receiver,
    azure.servicebus._servicebus_sender,
)
"""The SDK's modules that poll in steps of 50 ms while a link opens, and of 1 s while one closes."""


class BriskTime:
    """`time` with short steps: the SDK does what it does, only without most of its waiting."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.01))


@pytest.fixture(scope="package", autouse=True)
def _brisk_sdk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in PAUSING:
            patch.setattr(module, "time", BriskTime())
        yield


@pytest.fixture
def sockets_left_by_the_sdk() -> Iterator[None]:
    """The SDK drops the sockets of connections that fail without closing them: swept up while that is ignored."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    broker = Broker(QUEUES)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def client(broker: Broker) -> Iterator[ServiceBusClient]:
    """Closes every sender and receiver it made; `retry_total` 0 shows errors as they come."""
    with ServiceBusClient.from_connection_string(broker.connection_string, retry_total=0) as client:
        yield client


@pytest.fixture(scope="module")
def sender(client: ServiceBusClient) -> Callable[[str], ServiceBusSender]:
    """One open sender for each queue: opening one takes the SDK half a second."""
    senders: dict[str, ServiceBusSender] = {}

    def get(queue: str) -> ServiceBusSender:
        if queue not in senders:
            senders[queue] = client.get_queue_sender(queue)
        return senders[queue]

    return get


@pytest.fixture(scope="module")
def receiver(client: ServiceBusClient) -> ServiceBusReceiver:
    """Of the queue `plain`, which every test leaves empty."""
    return client.get_queue_receiver("plain")
