"""The lifecycle's policy: who is in scope, when they leave, what is kept how long, and what is never touched."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from functools import cached_property
from typing import Annotated, Literal, Self
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from jml.leavedate import DateRule
from jml.people import Cause

Duration = Annotated[
    timedelta,
    Field(ge=timedelta(0), le=timedelta(days=3650), description="ISO 8601, such as PT1H or P30D; at most ten years"),
]


def _zone_exists(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("an IANA time zone was expected, such as Europe/Zurich") from error
    return name


def _has_zone(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError("an instant with a zone was expected, such as 2099-12-31T00:00:00Z")
    return instant


Zone = Annotated[str, AfterValidator(_zone_exists)]
Instant = Annotated[datetime, AfterValidator(_has_zone)]


class Section(BaseModel):
    """A part of the policy: what is not known is refused, what was read never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ScopeRule(Section):
    """People of whom every attribute that is given here has one of its values (without regard to case)."""

    department: tuple[str, ...] = ()
    jobTitle: tuple[str, ...] = ()  # noqa: N815 - Graph's own name
    companyName: tuple[str, ...] = ()  # noqa: N815

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.department or self.jobTitle or self.companyName):
            raise ValueError(
                "at least one of department, jobTitle, companyName was expected: an empty rule takes everybody"
            )
        return self

    def takes(self, attributes: Mapping[str, str]) -> bool:
        return all(
            attributes.get(name, "").casefold() in {value.casefold() for value in values}
            for name, values in self._values.items()
            if values
        )

    def wanted(self) -> list[tuple[str, str]]:
        """Every attribute and value that is looked for."""
        return [(name, value) for name, values in self._values.items() for value in values]

    @property
    def _values(self) -> dict[str, tuple[str, ...]]:
        return {"department": self.department, "jobTitle": self.jobTitle, "companyName": self.companyName}


class DateOnly(Section):
    """HR writes days: access ends on that day at `time`, on the clocks of `zone`."""

    time: time
    zone: Zone

    @model_validator(mode="after")
    def _wall_clock(self) -> Self:
        if self.time.tzinfo is not None:
            raise ValueError("time: a wall clock time without a zone was expected, such as 18:00")
        return self


class Canary(Section):
    """A corporate account whose leave date is known: while it can be read, a null date means none."""

    person: UUID
    leave_date: Instant


class Window(Section):
    """How far around now the sweep asks for leave dates of people who are not linked yet."""

    lookback: Duration = timedelta(days=30)
    lookahead: Duration = timedelta(days=180)


class Retention(Section):
    """How long a cleaned account stays before it is deleted, and the attribute that says until when."""

    period: Duration = timedelta(days=30)
    mark: Literal[
        "extensionAttribute10",
        "extensionAttribute11",
        "extensionAttribute12",
        "extensionAttribute13",
        "extensionAttribute14",
        "extensionAttribute15",
    ] = "extensionAttribute15"


class LeaverPolicy(Section):
    """What happens to the accounts of somebody who leaves."""

    date_only: DateOnly | None = None
    also_when: frozenset[Literal["disabled", "out of scope"]] = frozenset({"disabled", "out of scope"})
    canary: Canary | None = None
    window: Window = Window()
    objective: Duration = timedelta(hours=1)
    retention: Retention = Retention()
    backlog_after: Duration = timedelta(minutes=30)


class Protected(Section):
    """MSSP accounts that no run touches, such as break-glass accounts."""

    accounts: frozenset[UUID] = frozenset()


class ResidualAccess(Section):
    """Customer tenants in which guests of a leaver are looked for and reported."""

    customer_tenants: tuple[UUID, ...] = ()


Share = Annotated[float, Field(gt=0, le=1, description="a share of the linked people, above 0 and at most 1")]
RollingWindow = Annotated[Duration, Field(ge=timedelta(minutes=1))]


class BreakerLimits(Section):
    """How many people may leave in a window before the rest is held: the lesser of the two, and always one."""

    count: int = Field(default=20, ge=1, le=200)
    share: Share = 0.25
    window: RollingWindow = timedelta(days=1)


class TerminationLimits(Section):
    """How many terminations pass in a window, whatever the breaker holds."""

    count: int = Field(default=5, ge=1, le=200)
    window: RollingWindow = timedelta(days=1)


class Limits(Section):
    """Absolute numbers that bound a run, and how much may happen at once.

    `missing`: the share of linked people that may be newly gone or out of scope in one sweep; more is a fault of the
    source, and changes nothing. `hold`: how long a hold waits for a decision before its people are judged anew.
    """

    breaker: BreakerLimits = BreakerLimits()
    terminations: TerminationLimits = TerminationLimits()
    missing: Share = 0.5
    hold: Duration = timedelta(days=7)
    accounts_per_person: int = Field(default=3, ge=1, le=20)
    slice: Annotated[Duration, Field(le=timedelta(minutes=8), description="below the renewal of a session's lock")] = (
        timedelta(minutes=4)
    )
    poll: Duration = timedelta(minutes=1)
    wait: Duration = timedelta(days=1)
    retry_budget: Duration = timedelta(seconds=30)


class Policy(Section):
    """The whole file."""

    version: Literal[1]
    scope: tuple[ScopeRule, ...] = Field(min_length=1)
    leaver: LeaverPolicy
    protected: Protected = Protected()
    residual_access: ResidualAccess = ResidualAccess()
    limits: Limits = Limits()

    @cached_property
    def date_rule(self) -> DateRule | None:
        rule = self.leaver.date_only
        return DateRule(rule.time, ZoneInfo(rule.zone)) if rule else None

    @cached_property
    def causes(self) -> frozenset[Cause]:
        return frozenset(Cause(name) for name in self.leaver.also_when)

    @cached_property
    def protected_accounts(self) -> frozenset[str]:
        return frozenset(str(account) for account in self.protected.accounts)

    def in_scope(self, attributes: Mapping[str, str]) -> bool:
        """Whether a person with these attributes should have an account in the MSSP tenant at all."""
        return any(rule.takes(attributes) for rule in self.scope)
