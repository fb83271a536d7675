"""Settings of every test: what hypothesis may spend, and that it keeps nothing between runs."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "brief",
    max_examples=50,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile("explore", settings.get_profile("brief"), max_examples=2000, derandomize=False)
settings.load_profile("brief")


@pytest.fixture(scope="module", autouse=True)
def _sockets_of_the_sdks() -> Iterator[None]:
    """What Microsoft's SDKs drop without closing is collected where it was left, not in the middle of another test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
