"""What a request costs, as documented."""

from __future__ import annotations

from typing import Any

import pytest

from jml.holdings import READINGS
from sandbox.graph.query import options_of
from sandbox.graph.routes import matched
from sandbox.graph.throttle import cost_of
from shared.ports import Call
from shared.quota import DOCUMENTED, is_write, units_of

COSTS: list[tuple[str, str, int]] = [
    ("GET", "/users", 2),
    ("GET", "/users?$filter=employeeId eq 'x'&$select=id", 1),
    ("GET", "/users?$top=5", 1),
    ("GET", "/users?$top=999", 2),
    ("GET", "/users/1/memberOf?$select=id", 1),
    ("GET", "/groups/1/transitiveMembers", 5),
    ("GET", "/roleManagement/directory/roleAssignments?$expand=principal", 2),
    ("POST", "/directoryObjects/getByIds?$select=id", 2),
    ("DELETE", "/groups/1/members/2/$ref", 1),
    ("PATCH", "/users/1", 1),
]


@pytest.mark.parametrize(("method", "path", "units"), COSTS)
def test_a_request_costs_what_is_documented(method: Any, path: str, units: int) -> None:
    assert units_of(Call(method, path)) == units


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
def test_no_reading_of_the_app_costs_more_than_it_thinks(reading: Any) -> None:
    path = reading.path.format(id="1")
    route, _ = matched("GET", tuple(path.partition("?")[0].strip("/").split("/")))
    assert cost_of(route.cost, options_of(path.partition("?")[2].replace(" ", "%20"))) <= units_of(Call("GET", path))


def test_reading_many_by_id_is_no_write() -> None:
    assert not is_write(Call("POST", "/directoryObjects/getByIds?$select=id", {}))
    assert is_write(Call("POST", "/users/1/revokeSignInSessions", {}))


def test_a_quota_can_be_made_smaller_and_quicker() -> None:
    scaled = DOCUMENTED.scaled(amount=0.1, time=0.5)
    assert (scaled.writes, scaled.write_seconds, scaled.unit_seconds) == (300, 75, 5)
    assert scaled.units == pytest.approx((350, 500, 800))
