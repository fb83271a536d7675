"""The host's readings of routes, schedules, host.json and bindings, without a process."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sandbox.functions_host.bindings import MissingSetting, UnsupportedFunction, function_from
from sandbox.functions_host.host_json import InvalidHostJson, read_host_json, seconds
from sandbox.functions_host.routes import InvalidRoute, find, route
from sandbox.functions_host.schedule import InvalidSchedule, Schedule

GUID = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"


@pytest.mark.parametrize(
    ("template", "path", "parameters"),
    [
        ("runs", "/api/runs", {}),
        ("runs", "/api/RUNS/", {}),
        ("runs/{id}", "/api/runs/a%20b", {"id": "a b"}),
        ("runs/{id}/evidence", "/api/runs/1/evidence", {"id": "1"}),
        ("runs/{id:int}", "/api/runs/12", {"id": "12"}),
        ("runs/{id:guid}", f"/api/runs/{GUID}", {"id": GUID}),
        ("runs/{id?}", "/api/runs", {}),
        ("runs/{id?}", "/api/runs/7", {"id": "7"}),
        ("files/{*path}", "/api/files/a/b", {"path": "a/b"}),
        ("runs/{id}", "/api/runs", None),
        ("runs/{id}", "/api/runs/1/2", None),
        ("runs/{id:int}", "/api/runs/x", None),
        ("runs/{id:guid}", "/api/runs/12", None),
        ("runs", "/runs", None),
    ],
)
def test_a_route_template_matches_as_in_asp_net_core(
    template: str, path: str, parameters: dict[str, str] | None
) -> None:
    assert route("f", "api", template, None).match(path) == parameters


def test_literals_go_before_parameters_and_parameters_before_the_rest() -> None:
    routes = [
        route("rest", "api", "runs/{*rest}", None),
        route("one", "api", "runs/{id}", None),
        route("latest", "api", "runs/latest", None),
    ]
    names = {path: find(routes, "GET", path) for path in ("/api/runs/latest", "/api/runs/1", "/api/runs/1/2")}
    assert [found[0].function for found in names.values() if found] == ["latest", "one", "rest"]


def test_without_methods_a_function_answers_get_and_post_alone() -> None:
    routes = [route("f", "api", "runs", [])]
    answered = [method for method in ("GET", "POST", "PUT", "DELETE") if find(routes, method, "/api/runs")]
    assert answered == ["GET", "POST"]


@pytest.mark.parametrize("template", ["runs/{id:regex}", "runs/a{id}b", "runs/{"])
def test_a_route_that_cannot_be_read_is_refused(template: str) -> None:
    with pytest.raises(InvalidRoute, match="runs/"):
        route("f", "api", template, None)


@pytest.mark.parametrize(
    ("expression", "due"),
    [
        ("0 */15 * * * *", "2026-01-05T10:15:00"),
        ("30 * * * * *", "2026-01-05T10:07:30"),
        ("*/15 * * * *", "2026-01-05T10:15:00"),
        ("0 0 9 * * MON-FRI", "2026-01-06T09:00:00"),
        ("0 0 0 13 * FRI", "2026-02-13T00:00:00"),
    ],
)
def test_a_schedule_is_due_as_ncrontab_says(expression: str, due: str) -> None:
    monday = datetime(2026, 1, 5, 10, 7, 1, tzinfo=UTC)
    assert Schedule("f", expression).next_after(monday) == datetime.fromisoformat(due + "+00:00")


@pytest.mark.parametrize("expression", ["", "* * * *", "61 * * * * *", "00:05:00", "every day"])
def test_a_schedule_that_the_host_refuses_is_named_with_its_function(expression: str) -> None:
    with pytest.raises(InvalidSchedule, match="function sweep"):
        Schedule("sweep", expression)


def _host_json(directory: Path, **extensions: object) -> Path:
    (directory / "host.json").write_text(json.dumps({"version": "2.0", "extensions": extensions}))
    return directory


def test_host_json_has_the_defaults_of_the_real_host(tmp_path: Path) -> None:
    read = read_host_json(_host_json(tmp_path))
    assert (read.route_prefix, read.max_concurrent_sessions, read.max_concurrent_calls) == ("api", 8, 16)
    assert (read.lock_renewal_s, read.prefetch) == (300, 0)


def test_host_json_is_obeyed_and_a_setting_overrides_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = _host_json(tmp_path, serviceBus={"maxConcurrentSessions": 3, "sessionIdleTimeout": "00:00:01.5"})
    monkeypatch.setenv("AzureFunctionsJobHost__extensions__serviceBus__maxConcurrentSessions", "5")
    read = read_host_json(directory)
    assert (read.max_concurrent_sessions, read.session_idle_s) == (5, 1.5)


@pytest.mark.parametrize(("text", "expected"), [("00:05:00", 300), ("1.00:00:01", 86401), ("00:00:00.2500000", 0.25)])
def test_a_time_span_is_read_in_seconds(text: str, expected: float) -> None:
    assert seconds(text, "field") == expected


@pytest.mark.parametrize(
    ("section", "field"),
    [({"maxConcurrentSessions": "many"}, "maxConcurrentSessions"), ({"sessionIdleTimeout": 5}, "sessionIdle")],
)
def test_a_wrong_value_in_host_json_is_named(tmp_path: Path, section: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidHostJson, match=field):
        read_host_json(_host_json(tmp_path, serviceBus=section))


def test_a_missing_or_malformed_host_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidHostJson, match="missing"):
        read_host_json(tmp_path)
    (tmp_path / "host.json").write_text("{")
    with pytest.raises(InvalidHostJson, match=r"host\.json"):
        read_host_json(tmp_path)


def _binding(**fields: object) -> str:
    return json.dumps({"direction": "IN", "name": "message", **fields})


def test_setting_names_in_a_binding_are_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_QUEUE", "lifecycle")
    function = function_from("f", "1", [_binding(type="serviceBusTrigger", queueName="%the_queue%")])
    assert (function.trigger["queueName"], function.argument) == ("lifecycle", "message")


def test_a_missing_setting_is_named_with_its_function() -> None:
    with pytest.raises(MissingSetting, match="function f: the setting NOWHERE_SET is missing"):
        function_from("f", "1", [_binding(type="timerTrigger", schedule="%NOWHERE_SET%")])


@pytest.mark.parametrize(
    ("bindings", "text"),
    [
        ([_binding(type="blobTrigger")], "blobTrigger"),
        ([_binding(type="serviceBusTrigger", cardinality="MANY")], "batches"),
        ([_binding(type="http")], "one trigger, found 0"),
    ],
)
def test_what_the_host_does_not_imitate_is_refused_by_name(bindings: list[str], text: str) -> None:
    with pytest.raises(UnsupportedFunction, match=text):
        function_from("f", "1", bindings)
