"""What comes through the queue and cannot be read is kept with its reason, and keeps nothing else from working."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from jml.events import LeaverEvent, to_message
from jml.people import Cause
from tests.e2e.conftest import Open
from tests.e2e.holdings import everything_of, holdings, user
from tests.e2e.scenario import Document, Scenario, Sent, now
from tests.e2e.worlds import Person, person_of, team

pytestmark = pytest.mark.e2e
NAMES = ("ann", "bob", "cleo")
STRANGER = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(scope="module")
def scenario(open_cloud: Open) -> Scenario:
    found = open_cloud(team(*NAMES))
    found.link({person_of(name).id: [person_of(name).account] for name in NAMES})
    return found


def _event(scenario: Scenario, person: Person) -> Document:
    """A valid event, as `release_due` sends it."""
    tenant = scenario.settings["JML_CORPORATE_TENANT_ID"]
    event = LeaverEvent(tenant, person.id, now() - timedelta(minutes=1), 1, Cause.DATE)
    found: Document = json.loads(to_message(event, now()).body)
    return found


def _with(path: str, value: object) -> Callable[[Document], bytes]:
    """The event with one field changed."""

    def change(event: Document) -> bytes:
        *above, last = path.split(".")
        place: Any = event
        for name in above:
            place = place[name]
        place[last] = value
        return json.dumps(event).encode()

    return change


def _without(name: str) -> Callable[[Document], bytes]:
    return lambda event: json.dumps({key: value for key, value in event.items() if key != name}).encode()


def _as_is(body: bytes) -> Callable[[Document], bytes]:
    return lambda _: body


BAD: dict[str, tuple[Callable[[Document], bytes], str]] = {
    "nothing": (_as_is(b""), "body:"),
    "no JSON": (_as_is(b"{not json"), "body: Invalid JSON"),
    "no UTF-8": (_as_is(b"\xff\xfe\x00{}"), "body: Invalid JSON"),
    "a list": (_as_is(b"[]"), "body:"),
    "null": (_as_is(b"null"), "body:"),
    "deeply nested": (_as_is(b"[" * 20_000), "body:"),
    "a bomb of digits": (_with("data.revision", 10**3000), "data.revision:"),
    "oversized": (_with("data.written", "x" * 70_000), "body: at most 65536 bytes"),
    "as large as the queue takes": (_as_is(b"x" * 255_000), "body: at most 65536 bytes"),
    "an empty object": (_as_is(b"{}"), "specversion: Field required; id: Field required; source: Field required"),
    "an unknown type": (_with("type", "jml.promotion"), "type:"),
    "another CloudEvents version": (_with("specversion", "0.3"), "specversion:"),
    "an unknown property": (_with("surprise", True), "surprise:"),
    "an unknown datum": (_with("data.surprise", True), "data.surprise:"),
    "without an id": (_without("id"), "id: Field required"),
    "without data": (_without("data"), "data: Field required"),
    "an id of something else": (_with("id", STRANGER), "id: does not follow"),
    "another tenant": (_with("data.tenant", STRANGER), "data.tenant: the corporate tenant"),
    "a person with quotes": (_with("data.person", "' or 1 eq 1 or '"), "data.person:"),
    "a person with slashes": (_with("data.person", "../../users/x"), "data.person:"),
    "a person in unicode": (_with("data.person", "пе́рсона"), "data.person:"),
    "a person in capitals": (_with("data.person", STRANGER.replace("1", "A")), "data.person:"),
    "a person of two lines": (_with("data.person", STRANGER + "\n"), "data.person:"),
    "an instant without a zone": (_with("data.effective", "2026-01-01T00:00:00"), "data.effective:"),
    "the year 1": (_with("data.effective", "0001-01-01T00:00:00Z"), "data.effective:"),
    "no instant": (_with("data.effective", "yesterday"), "data.effective:"),
    "revision 0": (_with("data.revision", 0), "data.revision:"),
    "half a revision": (_with("data.revision", 1.5), "data.revision:"),
    "an unknown cause": (_with("data.cause", "because"), "data.cause:"),
    "a long text": (_with("data.written", "x" * 65), "data.written:"),
}


@pytest.fixture(scope="module")
def rejected(scenario: Scenario) -> dict[str, tuple[bytes, Document]]:
    """Case → what was sent and what `rejected` has of it; a valid event comes after all of them."""
    person = person_of("ann")
    scenario.leave_soon(person.id)
    sent = {case: make(_event(scenario, person)) for case, (make, _) in BAD.items()}
    valid = Sent(json.dumps(_event(scenario, person)), "the valid one", person.id)
    scenario.send(*(Sent(body, case, person.id) for case, body in sent.items()), valid)
    scenario.settle()
    kept = {message["applicationProperties"]["messageId"]: message for message in scenario.messages("rejected")}
    return {case: (body, kept[case]) for case, body in sent.items() if case in kept}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_read_is_rejected_with_the_field_named(
    rejected: dict[str, tuple[bytes, Document]], case: str
) -> None:
    _, message = rejected[case]
    assert message["applicationProperties"]["reason"].startswith(BAD[case][1])


def test_what_is_rejected_is_kept_as_it_came(rejected: dict[str, tuple[bytes, Document]]) -> None:
    for case in ("no JSON", "oversized", "another tenant", "a person in unicode"):
        body, message = rejected[case]
        assert message["body"].encode() == body


@pytest.mark.usefixtures("rejected")
def test_a_valid_event_after_thirty_bad_ones_of_the_same_person_works(scenario: Scenario) -> None:
    person = person_of("ann")
    assert user(scenario.tenant("mssp"), person.account)["accountEnabled"] is False
    assert holdings(scenario.tenant("mssp"), person.account) == {}
    assert [run["outcome"] for run in scenario.runs(person=person.id)] == ["verified"]


def test_a_message_without_an_id_is_rejected_too(scenario: Scenario) -> None:
    before = len(scenario.messages("rejected"))
    scenario.send(Sent(b"anonymous", None, "nobody"))
    scenario.settle()
    assert [message["body"] for message in scenario.messages("rejected")[before:]] == ["anonymous"]


def test_a_duplicate_is_one_run_whether_the_queue_knows_it_or_not(scenario: Scenario) -> None:
    person = person_of("bob")
    scenario.leave_soon(person.id)
    body = json.dumps(_event(scenario, person))
    scenario.send(*(Sent(body, message_id, person.id) for message_id in ("one", "one", "two", "three")))
    scenario.settle()
    [run] = scenario.runs(person=person.id)
    assert run["outcome"] == "verified"
    assert scenario.verify(scenario.evidence(run["id"])).code == 0


def test_a_forged_event_about_somebody_who_stays_does_nothing(scenario: Scenario) -> None:
    person = person_of("cleo")
    before = everything_of(scenario.tenant("mssp"), person.account)
    scenario.send(Sent(json.dumps(_event(scenario, person)), "forged", person.id))
    scenario.settle()
    assert scenario.last_evidence(person.id)["outcome"] == "left alone"
    assert everything_of(scenario.tenant("mssp"), person.account) == before


def test_an_event_about_nobody_does_nothing(scenario: Scenario) -> None:
    nobody = Person(STRANGER, "")
    scenario.send(Sent(json.dumps(_event(scenario, nobody)), "nobody", STRANGER))
    scenario.settle()
    assert scenario.last_evidence(STRANGER)["outcome"] == "left alone"
