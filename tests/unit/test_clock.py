"""The one way an instant is written."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import SystemClock, from_text, to_text

INSTANTS = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.timezones())  # noqa: DTZ001


@given(INSTANTS)
def test_an_instant_that_is_written_is_the_one_that_is_read(instant: datetime) -> None:
    assert from_text(to_text(instant)) == instant.astimezone(UTC)


@given(INSTANTS, INSTANTS)
def test_texts_sort_by_time(one: datetime, other: datetime) -> None:
    first, second = (instant.astimezone(UTC) for instant in (one, other))
    assert (to_text(one) < to_text(other)) == (first < second)


@pytest.mark.parametrize("text", ["2026-03-02T09:00:00", "2026-03-02", "", "now"])
def test_what_names_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"zone|isoformat"):
        from_text(text)


async def test_the_real_clock_speaks_utc() -> None:
    clock = SystemClock()
    before = clock.now()
    await clock.sleep(0)
    assert before.tzinfo is UTC
    assert before <= clock.now()
