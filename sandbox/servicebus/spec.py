from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """One queue's settings, named and defaulted as Service Bus names and defaults them.

    `duplicate_window_s` 0 turns duplicate detection off; `max_delivery` None never dead-letters.
    """

    sessions: bool = False
    duplicate_window_s: float = 0.0
    lock_s: float = 60.0
    max_delivery: int | None = 10


DEAD_LETTER_SUFFIX = "/$deadletterqueue"
"""Compared in lower case: entity names of Service Bus are not case-sensitive."""

DEAD_LETTER_SPEC = QueueSpec(max_delivery=None)
"""A dead-letter queue has no sessions and no dead letters of its own."""
