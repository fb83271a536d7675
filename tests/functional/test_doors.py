"""Every route against every token, id and body that somebody may try: refused as such, and nothing is learnt."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar

import azure.functions as func
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.authorisation import READERS, Role
from tests.fakes.forgery import CORPORATE, DOOR, KNOWN, LOGIN, STRANGERS, claims, signed
from tests.fakes.routes import HEALTH, Route, routes
from tests.fakes.stage import LEFT, Stage, policy_with

T = TypeVar("T")
APPROVERS, OPERATORS = frozenset({Role.APPROVER}), frozenset({Role.OPERATOR})
OPEN_TO: dict[str, frozenset[Role]] = {
    "GET runs": READERS,
    "GET runs/{id}": READERS,
    "GET runs/{id}/evidence": READERS,
    "GET holds": READERS,
    "GET holds/{id}": READERS,
    "POST holds/{id}/release": APPROVERS,
    "POST holds/{id}/refuse": APPROVERS,
    "GET baseline": READERS,
    "POST baseline/accept": APPROVERS,
    "GET terminations": READERS,
    "POST terminations": OPERATORS,
    "DELETE terminations/{id}": OPERATORS,
}
"""Route → whose it is. A new one is added here on purpose, or a test fails."""

NOBODY = "11111111-2222-4333-8444-555555555555"
STRANGE: dict[str, str] = {
    "nothing": "",
    "a quote": "'",
    "quotes and an or": "' or '1' eq '1",
    "an escaped slash": "..%2F..%2Fledger",
    "slashes": "../../ledger",
    "a backslash": "..\\ledger",
    "a hash and a question mark": "a#b?c",
    "a zero byte": "\0",
    "unicode": "p\N{LATIN SMALL LETTER E WITH ACUTE}rsona-\N{KEY}",
    "half a character": "\ud800",
    "from right to left": "\N{RIGHT-TO-LEFT OVERRIDE}abc",
    "a GUID in capitals": NOBODY.upper().replace("1", "A"),
    "a GUID and a line": f"{NOBODY}\n",
    "other digits": NOBODY.replace("1", "\N{ARABIC-INDIC DIGIT ONE}"),
    "10 kB": "a" * 10_000,
    "nobody": NOBODY,
}
BODIES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{not json",
    "no UTF-8": b"\xff\xfe\x00{}",
    "null": b"null",
    "a list": b"[]",
    "a text": b'"digest"',
    "a number": b"1e400",
    "not a number": b"NaN",
    "an empty object": b"{}",
    "deeply nested": b"[" * 10_000,
    "deeply nested in a field": b'{"digest":' * 2000,
    "a digest that is null": b'{"digest": null, "person": null}',
    "a digest that is a list": json.dumps({"digest": ["0" * 64], "person": [NOBODY]}).encode(),
    "a digest and more": json.dumps({"digest": "0" * 64, "person": NOBODY, "admin": True}).encode(),
    "the same field twice": b'{"digest": "0", "digest": "1", "person": "x", "person": "y"}',
    "quotes": json.dumps({"digest": "' or '1' eq '1", "person": "' or '1' eq '1"}).encode(),
    "unicode": json.dumps({"digest": "\N{KEY}" * 64, "person": "\N{KEY}" * 36}).encode(),
    "half a character": b'{"digest": "\\ud800", "person": "\\ud800"}',
    "a GUID and a line": json.dumps({"digest": "0" * 64 + "\n", "person": f"{NOBODY}\n"}).encode(),
    "10 MB": b'{"digest": "' + b"0" * 10_000_000 + b'"}',
    "10 MB of nothing": b" " * 10_000_000,
}


class Scene:
    """A deployment with a run, a hold and a termination, and somebody who knocks at its doors."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self.stage = Stage(policy=policy_with(limits={"breaker": {"count": 2, "share": 0.5}, "poll": "PT2S"}))
        self.ids = self._run(self._set())
        self.routes = {
            name: route for name, route in routes(replace(self.stage.services, door=DOOR)).items() if name != HEALTH
        }

    async def _set(self) -> dict[str, str]:
        """Collection → the id of something that is in it."""
        stage = self.stage
        for person, accounts in stage.world.x_scenario["links"].items():
            await stage.link(person, *accounts)
        await stage.offboard("alexw")
        for person in ("meganb", "isaiahl", "lidiah"):
            stage.hr(person, employeeLeaveDateTime=LEFT)
        await stage.notice()
        [run] = await stage.runs()
        [hold] = (await stage.services.reports.holds({}))["holds"]
        return {"runs": run.id, "holds": hold["id"], "terminations": stage.person("pradeepg")}

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def existing(self, route: Route) -> str:
        return self.ids.get(route.template.partition("/")[0], "")

    def ask(self, route: Route, authorization: str | None, name: str = NOBODY, body: bytes = b"") -> func.HttpResponse:
        return self._run(route.ask(authorization, name, body))


@cache
def scene() -> Scene:
    return Scene()


def seen(reply: func.HttpResponse) -> tuple[int, dict[str, str], bytes]:
    """All that a caller can tell one answer from another by."""
    return reply.status_code, dict(reply.headers), reply.get_body()


def is_problem(reply: func.HttpResponse, status: int) -> bool:
    document = json.loads(reply.get_body())
    return (
        reply.status_code == document["status"] == status
        and reply.mimetype == "application/problem+json"
        and {"type", "title", "detail"} <= document.keys()
        and len(reply.get_body()) < 2000
    )


def bearer(*roles: Role | str, **more: Any) -> str:
    return f"Bearer {signed(claims(roles=[str(role) for role in roles], **more))}"


def test_the_table_has_every_route_of_the_app() -> None:
    assert OPEN_TO.keys() == routes().keys() - {HEALTH}


# -- tokens ---------------------------------------------------------------------------------------------------------

UNKNOWN: dict[str, Callable[[], str | None]] = {
    "nothing": lambda: None,
    "an empty header": lambda: "",
    "another scheme": lambda: "Basic dXNlcjpwYXNz",
    "no token": lambda: "Bearer ",
    **{name: lambda make=make: f"Bearer {make()}" for name, make in STRANGERS.items()},  # type: ignore[misc]
    **{
        f"{role} of the corporate tenant": lambda role=role: bearer(  # type: ignore[misc]
            role, tid=CORPORATE, iss=f"{LOGIN}/{CORPORATE}/v2.0"
        )
        for role in Role
    },
}


def refused(authorization: str | None, status: int, ids: tuple[str, ...]) -> None:
    """By every route, whatever is asked of it, with one and the same answer; and nothing is changed."""
    stage = scene().stage
    before = {table: dict(rows) for table, rows in stage.tables.rows.items()}, len(stage.messages.sent)
    for name, route in scene().routes.items():
        body = json.dumps({"digest": "0" * 64}).encode()
        replies = [scene().ask(route, authorization, one, body) for one in (scene().existing(route), *ids)]
        assert is_problem(replies[0], status), (name, replies[0].get_body())
        assert ("WWW-Authenticate" in replies[0].headers) == (status == 401), name
        assert all(seen(reply) == seen(replies[0]) for reply in replies), name
    assert ({table: dict(rows) for table, rows in stage.tables.rows.items()}, len(stage.messages.sent)) == before


@pytest.mark.parametrize("attack", UNKNOWN)
def test_who_proves_nothing_is_401_at_every_door_and_learns_nothing(attack: str) -> None:
    refused(UNKNOWN[attack](), 401, (NOBODY,))


@pytest.mark.parametrize("lack", KNOWN)
def test_who_lacks_the_role_is_403_at_every_door_and_learns_nothing(lack: str) -> None:
    refused(f"Bearer {signed(claims(**KNOWN[lack]))}", 403, (NOBODY,))


@pytest.mark.parametrize("role", Role)
def test_an_application_with_the_role_is_403_at_every_door(role: Role) -> None:
    refused(bearer(role, scp=..., idtyp="app"), 403, (NOBODY,))


def test_strange_ids_and_bodies_tell_a_stranger_nothing_more() -> None:
    refused(None, 401, tuple(STRANGE.values()))
    for route in scene().routes.values():
        answers = {seen(scene().ask(route, None, NOBODY, body))[2] for body in BODIES.values()}
        assert len(answers) == 1


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("name", OPEN_TO)
def test_each_role_opens_its_own_doors_and_no_others(name: str, role: Role) -> None:
    reply = scene().ask(scene().routes[name], bearer(role))
    assert (reply.status_code == 403) == (role not in OPEN_TO[name])
    assert reply.status_code != 401


# -- ids and bodies -------------------------------------------------------------------------------------------------


def allowed(name: str) -> str:
    return bearer(*OPEN_TO[name])


WITH_ID = [name for name in OPEN_TO if "{id}" in name]
WITH_BODY = [name for name in OPEN_TO if name.startswith("POST")]
GOOD_BODY = json.dumps({"digest": "0" * 64}).encode()


@pytest.mark.parametrize("name", WITH_ID)
def test_an_id_of_nothing_is_not_found(name: str) -> None:
    for case, strange in STRANGE.items():
        reply = scene().ask(scene().routes[name], allowed(name), strange, GOOD_BODY)
        assert is_problem(reply, 404), (case, reply.get_body())


@given(name=st.sampled_from(WITH_ID), text=st.text(st.characters(), max_size=60))
@settings(max_examples=100)
def test_any_text_as_an_id_is_not_found(name: str, text: str) -> None:
    assert is_problem(scene().ask(scene().routes[name], allowed(name), text, GOOD_BODY), 404)


def clearly_refused(name: str, body: bytes) -> None:
    """A 4xx that says what was expected; the id is one that exists, where there is one."""
    route = scene().routes[name]
    reply = scene().ask(route, allowed(name), scene().existing(route), body)
    expected = 413 if len(body) > 16 * 1024 else 400
    assert is_problem(reply, expected), reply.get_body()


@pytest.mark.parametrize("case", BODIES)
@pytest.mark.parametrize("name", WITH_BODY)
def test_a_body_that_says_nothing_is_refused(name: str, case: str) -> None:
    clearly_refused(name, BODIES[case])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["digest", "person", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(
    name=st.sampled_from(WITH_BODY), body=st.binary(max_size=80) | JSON.map(lambda value: json.dumps(value).encode())
)
@settings(max_examples=150)
def test_any_bytes_as_a_body_are_refused(name: str, body: bytes) -> None:
    clearly_refused(name, body)


@pytest.mark.parametrize("name", ["POST holds/{id}/release", "POST holds/{id}/refuse", "POST baseline/accept"])
def test_a_digest_of_something_else_decides_nothing(name: str) -> None:
    route, before = scene().routes[name], dict(scene().stage.tables.rows["holds"])
    reply = scene().ask(route, allowed(name), scene().existing(route), GOOD_BODY)
    assert reply.status_code == (404 if "baseline" in name else 409)
    assert dict(scene().stage.tables.rows["holds"]) == before
