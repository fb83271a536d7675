"""Settings of every test: what hypothesis may spend, and that it keeps nothing between runs."""

from __future__ import annotations

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
