"""Graph's documented quotas of identity requests: resource units per 10 seconds and writes per 150 seconds.

Per application and tenant; the unit quota follows the tenant's size (facts 7; learn throttling-limits).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sandbox.world import Settings

WRITES = 3000
UNITS_BY_SIZE = ((50, 3500), (501, 5000))
UNITS_LARGE = 8000
WARN_FROM = 0.8
SMALL_PAGE = 20


@dataclass
class Window:
    """What was spent in the last `length` seconds."""

    length: float
    limit: float
    spent: deque[tuple[float, int]] = field(default_factory=deque)
    total: int = 0

    def wait(self, now: float, cost: int) -> int:
        """Seconds until `cost` fits; 0 when it does."""
        while self.spent and self.spent[0][0] <= now - self.length:
            self.total -= self.spent.popleft()[1]
        if not self.spent or self.total + cost <= self.limit:
            return 0
        over = self.total + cost - self.limit
        for moment, amount in self.spent:
            over -= amount
            if over <= 0:
                return max(1, math.ceil(moment + self.length - now))
        return math.ceil(self.length)

    def spend(self, now: float, cost: int) -> None:
        self.spent.append((now, cost))
        self.total += cost

    @property
    def share(self) -> float:
        return self.total / self.limit


class Throttle:
    """The windows of every application in one tenant."""

    def __init__(self, settings: Settings, size: Callable[[], int], now: Callable[[], float]) -> None:
        self.settings = settings
        self.size = size
        self.now = now
        self._windows: dict[str, tuple[Window, Window]] = {}

    def spend(self, app: str, cost: int, *, writes: bool) -> tuple[str, Mapping[str, str]]:
        """Spend a request's cost: "" or the name of the limit that is reached, and the headers to send."""
        now = self.now()
        units, written = self._windows.setdefault(app, self._new())
        units.limit = self._units() * self.settings.throttle_scale
        asked = [("resource unit", units, cost)] + ([("write", written, 1)] if writes else [])
        for name, window, amount in asked:
            if wait := window.wait(now, amount):
                return name, {
                    "Retry-After": str(wait),
                    "x-ms-resource-unit": str(cost),
                    "x-ms-throttle-limit-percentage": f"{max(window.share, 1.0):.2f}",
                    "x-ms-throttle-scope": "Tenant_Application/ReadWrite",
                    "x-ms-throttle-information": "ResourceUnitLimitExceeded"
                    if window is units
                    else "WriteLimitExceeded",
                }
        for _, window, amount in asked:
            window.spend(now, amount)
        share = max(window.share for _, window, _ in asked)
        warning = {"x-ms-throttle-limit-percentage": f"{share:.2f}"} if share >= WARN_FROM else {}
        return "", {"x-ms-resource-unit": str(cost), **warning}

    def _new(self) -> tuple[Window, Window]:
        settings = self.settings
        return Window(settings.unit_window_s, 0), Window(settings.write_window_s, WRITES * settings.throttle_scale)

    def _units(self) -> int:
        size = self.size()
        return next((units for below, units in UNITS_BY_SIZE if size < below), UNITS_LARGE)


def cost_of(base: int, options: Mapping[str, str]) -> int:
    """A request's resource units: $select and a small $top make it cheaper, $expand dearer, never below 1."""
    top = options.get("$top", "")
    small = top.isdecimal() and int(top) < SMALL_PAGE
    return max(1, base - ("$select" in options) + ("$expand" in options) - small)
