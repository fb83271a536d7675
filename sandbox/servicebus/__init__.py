"""An AMQP 1.0 look-alike of Service Bus that the real SDK takes for a development emulator."""

from __future__ import annotations

from sandbox.servicebus.broker import Broker
from sandbox.servicebus.spec import QueueSpec

__all__ = ["Broker", "QueueSpec"]
