"""Side by side: nobody's failure leaves another at work unattended."""

from __future__ import annotations

import asyncio

import pytest

from shared.together import together


async def test_all_answers_come_in_their_order() -> None:
    assert await together(asyncio.sleep(0.01, 1), asyncio.sleep(0, 2)) == [1, 2]


async def test_a_failure_is_raised_when_the_others_have_ended() -> None:
    ended = []

    async def slow() -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        ended.append("slow")

    async def fails() -> None:
        raise ValueError("at once")

    with pytest.raises(ValueError, match="at once"):
        await together(fails(), slow())
    assert ended == ["slow"]
