"""NCRONTAB schedules of timer triggers: `{second} {minute} {hour} {day} {month} {day of week}`, in UTC.

Microsoft: "Timer trigger for Azure Functions", NCRONTAB expressions. Five fields mean second 0; day and day
of week must both match. Time spans are for App Service plans only and are refused.
"""

from __future__ import annotations

from datetime import datetime

from croniter import croniter


class InvalidSchedule(Exception):
    """A timer's schedule that the host would refuse."""


class Schedule:
    def __init__(self, function: str, expression: str) -> None:
        fields = expression.split()
        if len(fields) == 5:
            fields = ["0", *fields]
        self._expression = " ".join(fields)
        if len(fields) != 6 or not croniter.is_valid(self._expression, second_at_beginning=True):
            raise InvalidSchedule(f"function {function}: the timer expression {expression!r} is not valid")

    def next_after(self, moment: datetime) -> datetime:
        found: datetime = croniter(
            self._expression, moment, second_at_beginning=True, day_or=False, ret_type=datetime
        ).get_next()
        return found
