"""Faults that a scenario orders: what to answer, delay or cut, for which requests, and how many times."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError


def _is_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from error
    return text


class Fault(BaseModel):
    """One fault. What is left out of tenant, method and path matches all; `times` left out means until cleared.

    `reset_connection` cuts the connection before (or `true`) or after the server acted; of a request within a batch
    the answer is then missing from the batch's reply.
    """

    model_config = ConfigDict(extra="forbid")
    tenant: str | None = None
    method: str | None = None
    path: Annotated[str, AfterValidator(_is_pattern)] | None = None
    status: Annotated[int, Field(ge=100, le=599)] | None = None
    headers: dict[str, str] = {}
    body: Any = None
    delay_ms: Annotated[int, Field(ge=0)] = 0
    reset_connection: Literal["before", "after", True, False] = False
    times: Annotated[int, Field(ge=1)] | None = None

    def matches(self, tenant: str | None, method: str, path: str) -> bool:
        return (
            self.tenant in (None, tenant)
            and (self.method is None or self.method.upper() == method.upper())
            and (self.path is None or re.search(self.path, path) is not None)
        )


class FaultBoard:
    """The faults in force, oldest first. Clearing them lets go of the requests that they delay."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._cleared = asyncio.Event()

    def add(self, order: Mapping[str, Any]) -> None:
        """Order a fault; ValueError says what is wrong with the order."""
        try:
            self._faults.append(Fault.model_validate(order))
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise ValueError(wrong) from error

    def orders(self) -> list[dict[str, Any]]:
        """The faults in force, with the times that they have left."""
        return [fault.model_dump(exclude_defaults=True) for fault in self._faults]

    def clear(self) -> None:
        self._faults.clear()
        self._cleared.set()
        self._cleared = asyncio.Event()

    async def hold(self, fault: Fault) -> None:
        """Wait as long as the fault delays its request."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._cleared.wait(), fault.delay_ms / 1000)

    def take(self, tenant: str | None, method: str, path: str) -> Fault | None:
        """The first fault for a request, counted down; path as `/users/…`, without version and query."""
        for fault in self._faults:
            if fault.matches(tenant, method, path):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times == 0:
                        self._faults.remove(fault)
                return fault
        return None
