"""The app's own door: whoever may not come in learns nothing, and nobody's mistake is an error of ours."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Open
from tests.e2e.scenario import AUDITOR, Scenario, now
from tests.e2e.worlds import person_of, team
from tests.fakes.routes import HEALTH, routes

pytestmark = pytest.mark.e2e
UNKNOWN = "11111111-2222-4333-8444-555555555555"
HOUR = 3600
DOORS = [(*name.split(" "), name) for name in routes() if name != HEALTH]
"""Method, path and both of every route that asks who is there."""
EVERYBODY = {**AUDITOR, "roles": ["Auditor", "Operator", "Approver"]}


@pytest.fixture(scope="module")
def scenario(open_cloud: Open) -> Scenario:
    people = [person_of(name) for name in ("ann", "bob", "cleo")]
    found = open_cloud(team("ann", "bob", "cleo"))
    found.link({person.id: [person.account] for person in people})
    found.leave(*(person.id for person in people))
    return found


def _is_problem(reply: httpx.Response, status: int) -> bool:
    """RFC 9457, without a word that only an insider should hear."""
    document = reply.json()
    return (
        reply.status_code == document["status"] == status
        and reply.headers["content-type"] == "application/problem+json"
        and {"type", "title", "detail"} <= document.keys()
    )


# -- who comes in


def test_health_asks_nobody_and_says_nothing(scenario: Scenario) -> None:
    reply = scenario.http.get(f"{scenario.functions}/api/health")
    assert (reply.status_code, reply.json()) == (200, {"status": "alive"})


@pytest.mark.parametrize("role", ["Auditor", "Operator", "Approver"])
def test_people_of_the_mssp_with_a_role_may_read(scenario: Scenario, role: str) -> None:
    reply = scenario.ask("/runs", scenario.token(claims={**AUDITOR, "roles": [role]}))
    assert reply.status_code == 200
    assert len(reply.json()["runs"]) == 3


def _claims(**more: object) -> dict[str, object]:
    return {**AUDITOR, **more}


def _at(seconds: int) -> int:
    return int(now().timestamp()) + seconds


REFUSED: dict[str, tuple[int, dict[str, Any]]] = {
    "unsigned": (401, {"key": "none"}),
    "signed by another key": (401, {"key": "bad"}),
    "for another audience": (401, {"claims": _claims(aud="https://graph.microsoft.com")}),
    "expired": (401, {"claims": _claims(iat=_at(-2 * HOUR), nbf=_at(-2 * HOUR), exp=_at(-HOUR))}),
    "not valid yet": (401, {"claims": _claims(nbf=_at(HOUR), exp=_at(2 * HOUR))}),
    "of the corporate tenant": (401, {"tenant": "corporate"}),
    "of another issuer": (401, {"claims": _claims(iss="https://login.microsoftonline.com/common/v2.0")}),
    "of no tenant": (401, {"claims": _claims(tid=None)}),
    "of a tenant that is no text": (401, {"claims": _claims(tid=["a"])}),
    "without an end": (401, {"claims": _claims(exp=None)}),
    "with an end that is no number": (401, {"claims": _claims(exp="tomorrow")}),
    "of nobody": (401, {"claims": _claims(oid=None)}),
    "of version 1": (401, {"claims": _claims(ver="1.0")}),
    "without a role": (403, {"claims": _claims(roles=None)}),
    "with a role of something else": (403, {"claims": _claims(roles=["Reader"])}),
    "with a role that is no list": (403, {"claims": _claims(roles="Auditor")}),
    "of an application": (403, {"claims": _claims(scp=None, idtyp="app")}),
    "of an application that claims a scope": (403, {"claims": _claims(idtyp="app")}),
    "with the relay's role": (403, {"claims": _claims(roles=["Relay"], scp=None, idtyp="app")}),
}


def _knock(scenario: Scenario, method: str, path: str, token: str | None, body: bytes | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return scenario.http.request(method, f"{scenario.functions}/api/{path}", headers=headers, content=body)


@pytest.mark.parametrize("case", REFUSED)
def test_a_token_that_proves_too_little_opens_nothing(scenario: Scenario, case: str) -> None:
    """Whatever is behind the door: every route of the app, and a query with a mistake."""
    status, how = REFUSED[case]
    token = scenario.token(**how)
    asked = [(method, path.replace("{id}", UNKNOWN)) for method, path, _ in DOORS]
    for method, path in [*asked, ("GET", "runs?top=x")]:
        reply = _knock(scenario, method, path, token)
        assert _is_problem(reply, status), (method, path, reply.text)
        assert ("WWW-Authenticate" in reply.headers) == (status == 401)


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Basic YTpi", "Bearer abc", "Bearer a.b.c", "Bearer e30.e30.", "Bearer " + "x" * 7000],
)
def test_what_is_no_token_is_401(scenario: Scenario, header: str) -> None:
    reply = scenario.http.get(f"{scenario.functions}/api/runs", headers={"Authorization": header} if header else {})
    assert _is_problem(reply, 401), reply.text


# -- what is asked for

STRANGE = {
    "a quote": "'",
    "quotes and an or": "'%20or%201%20eq%201%20or%20'",
    "an escaped slash": "..%2F..%2Fledger",
    "dots": "%2E%2E",
    "a zero byte": "%00",
    "unicode": "p%C3%A9rsona-%F0%9F%94%91",
    "broken unicode": "%FF%FE",
    "a GUID in capitals": UNKNOWN.upper().replace("1", "A"),
    "a GUID and a line": f"{UNKNOWN}%0A",
    "10 kB": "a" * 10_000,
    "nobody": UNKNOWN,
}


@pytest.mark.parametrize("case", STRANGE)
def test_a_strange_id_is_not_found_or_refused(scenario: Scenario, case: str) -> None:
    token = scenario.token(claims=EVERYBODY)
    for method, path, name in DOORS:
        if "{id}" in path:
            body = b'{"digest": "%s"}' % (b"0" * 64) if method == "POST" else None
            reply = _knock(scenario, method, path.replace("{id}", STRANGE[case]), token, body)
            assert reply.status_code in (400, 404, 414), (name, reply.text)


@pytest.mark.parametrize("size", [17_000, 10_000_000])
def test_a_body_that_is_too_large_is_refused_as_such_and_only_to_those_who_may_come_in(
    scenario: Scenario, size: int
) -> None:
    body = b'{"digest": "' + b"0" * size + b'"}'
    for method, path, name in DOORS:
        if method == "POST":
            where = path.replace("{id}", UNKNOWN)
            assert _is_problem(_knock(scenario, method, where, scenario.token(claims=EVERYBODY), body), 413), name
            assert _is_problem(_knock(scenario, method, where, None, body), 401), name


@pytest.mark.parametrize("tail", ["", "/evidence"])
def test_an_unknown_run_is_a_problem_document(scenario: Scenario, tail: str) -> None:
    assert _is_problem(scenario.ask(f"/runs/{UNKNOWN}{tail}"), 404)


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("GET", "/runs/a/b/c"), ("POST", "/runs")])
def test_an_unknown_route_is_not_found(scenario: Scenario, method: str, path: str) -> None:
    reply = scenario.http.request(method, f"{scenario.functions}/api{path}")
    assert reply.status_code == 404


MISTAKES = [
    ("top", "0"),
    ("top", "201"),
    ("top", "-1"),
    ("top", "ten"),
    ("top", "1.5"),
    ("top", ""),
    ("top", "٣"),
    ("top", "9" * 5000),
    ("state", "sleeping"),
    ("outcome", "completed"),
    ("person", "' or '1' eq '1"),
    ("person", "nobody"),
    ("continuation", "!!!"),
    ("continuation", "é"),
    ("continuation", "/w=="),
    ("filter", "x"),
    ("$filter", "x"),
]


@pytest.mark.parametrize(("name", "value"), MISTAKES)
def test_a_mistake_in_the_query_is_named(scenario: Scenario, name: str, value: str) -> None:
    reply = scenario.ask("/runs", **{name: value})
    assert _is_problem(reply, 400), reply.text
    assert reply.json()["detail"].startswith(f"{name}: ")


def test_runs_come_in_pages(scenario: Scenario) -> None:
    found: list[str] = []
    more: dict[str, str] = {}
    for _ in range(3):
        page = scenario.ask("/runs", top="1", **more).json()
        found += [run["id"] for run in page["runs"]]
        more = {"continuation": page["continuation"]} if "continuation" in page else {}
    assert len(set(found)) == 3


def test_runs_are_filtered(scenario: Scenario) -> None:
    ann = person_of("ann")
    [run] = scenario.runs(person=ann.id, state="closed", outcome="verified")
    assert run["person"] == ann.id
    assert scenario.ask(f"/runs/{run['id']}").json() == run
    assert scenario.runs(outcome="blocked") == []


def test_nothing_of_all_this_was_an_error_of_the_app(scenario: Scenario) -> None:
    assert "failed" not in scenario.running.log.read_text()
