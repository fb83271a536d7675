"""The one retry: bounded by a budget, honouring Retry-After, jittered. Whoever retries knows that it may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tenacity import AsyncRetrying, RetryCallState, retry_if_result, wait_random_exponential

from shared.clock import Clock

_BACKOFF = wait_random_exponential(multiplier=0.25, max=10)


async def patiently(attempt: Callable[[], Awaitable[float | None]], budget: float, clock: Clock) -> None:
    """Call `attempt` until it returns None (done), or the next wait would take it past `budget` seconds.

    Otherwise it returns the seconds that the other side asked to wait for (0: as the back-off says).
    """
    began = clock.now()

    def spent(state: RetryCallState) -> bool:
        return (clock.now() - began).total_seconds() + state.upcoming_sleep >= budget

    retrying = AsyncRetrying(
        retry=retry_if_result(lambda asked: asked is not None),
        wait=_wait,
        stop=spent,
        sleep=clock.sleep,
        retry_error_callback=lambda _: None,
    )
    await retrying(attempt)


def _wait(state: RetryCallState) -> float:
    asked = state.outcome.result() if state.outcome else 0.0
    return max(float(asked), float(_BACKOFF(state)))
