"""The OData layer: $filter, $select, $expand, $orderby, $count and pages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import GraphRefusal
from sandbox.graph import filters
from tests.sandbox.graph.client import EVENTUAL, Graph
from tests.sandbox.graph.conftest import Serve

ROW = {
    "displayName": "O'Neill, Ääni",
    "accountEnabled": True,
    "department": None,
    "employeeLeaveDateTime": "2030-06-30T22:00:00Z",
    "otherMails": ["a@x.example", "b@x.example"],
    "target": {"objectId": "1b2c"},
    "count": 3,
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("displayName eq 'o''neill, ÄÄNI'", True),
        ("displayName ne 'x'", True),
        ("startsWith(displayName,'O''N')", True),
        ("startswith(displayName, 'N')", False),
        ("endsWith(displayName,'ääni')", True),
        ("accountEnabled eq true", True),
        ("not (accountEnabled eq true)", False),
        ("not accountEnabled eq false", True),
        ("department eq null", True),
        ("department ne null", False),
        ("department ge 'a'", False),
        ("employeeLeaveDateTime ge 2030-06-30T22:00:00Z", True),
        ("employeeLeaveDateTime ge 2030-07-01T00:00:00+02:00", True),
        ("employeeLeaveDateTime lt 2030-06-30T22:00:00.0000000Z", False),
        ("employeeLeaveDateTime le 9999-12-31T23:59:59Z", True),
        ("employeeLeaveDateTime gt 0001-01-01T00:00:00Z", True),
        ("employeeLeaveDateTime ge 2030-06-30", True),
        ("employeeLeaveDateTime in (2030-06-30T22:00:00Z, 2031-01-01T00:00:00Z)", True),
        ("displayName in ('a', 'b')", False),
        ("otherMails eq 'B@x.example'", True),
        ("target/objectId eq '1B2C'", True),
        ("target/objectId eq '9'", False),
        ("count ge 3 and count lt 4", True),
        ("count eq 1 or count eq 2 or accountEnabled eq true", True),
        ("count eq 3 and (department eq 'x' or department eq null)", True),
        ("COUNT eq 3", False),
    ],
)
def test_a_filter_holds_or_not(text: str, *, holds: bool) -> None:
    assert filters.compiled(filters.parse(text))(ROW) is holds


@pytest.mark.parametrize(
    "text",
    ["", " ", "a", "a eq", "a eq 'x", "a eq 'x' and", "(a eq 1", "a eq 1)", "a xx 1", "in ()", "a in 1", "a eq 1 b",
     "startsWith(a)", "not", "a eq b", "'x' eq 'x'", "a eq \x00", "a/ eq 1"],
)  # fmt: skip
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(GraphRefusal, match="Syntax error"):
        filters.parse(text)


@given(st.text(alphabet="abc eq'()/,0123-:TZ\"é", max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        test = filters.compiled(filters.parse(text))
    except GraphRefusal:
        return
    assert test({}) in (True, False)


def test_a_hidden_property_reads_as_null() -> None:
    node = filters.parse("employeeLeaveDateTime eq null")
    assert filters.compiled(node, frozenset({"employeeLeaveDateTime"}))(ROW) is True


async def test_ids_with_quotes_slashes_and_unicode_are_only_not_found(graph: Graph) -> None:
    for name in ("o'neill", "a%2Fb", "%C3%A4%00", "%27%20or%20%27", "x" * 3000, "%25"):
        reply = await graph.get("mssp", f"/users/{name}")
        assert (reply.status, reply.code) == (404, "Request_ResourceNotFound"), name
    reply = await graph.get("mssp", "/users?$filter=displayName eq 'o''neill/%C3%A4%27%27'")
    assert (reply.status, reply.ids) == (200, [])


async def test_a_key_may_stand_in_parentheses(graph: Graph) -> None:
    reply = await graph.get("corporate", "/users('alexw@contoso.example')/manager?$select=displayName")
    assert reply.body["displayName"] == "Miriam Graham"


async def test_pages_fit_together_and_may_be_asked_for_again(serving: Serve, demo: dict[str, Any]) -> None:
    demo["settings"] = {"page_size": 5}
    graph = await serving(demo)
    first = await graph.get("corporate", "/users?$select=id&$filter=accountEnabled eq true")
    second = await graph.get("corporate", first.body["@odata.nextLink"])
    again = await graph.get("corporate", first.body["@odata.nextLink"])
    third = await graph.get("corporate", second.body["@odata.nextLink"])
    everyone = await graph.get("corporate", "/users?$select=id&$filter=accountEnabled eq true&$top=999")
    assert second.ids == again.ids
    assert [*first.ids, *second.ids, *third.ids] == everyone.ids
    assert "@odata.nextLink" not in third.body
    assert set(third.body["value"][0]) == {"id"}


async def test_a_listing_under_way_does_not_miss_what_others_change(serving: Serve, demo: dict[str, Any]) -> None:
    demo["settings"] = {"page_size": 3}
    graph = await serving(demo)
    everyone = await graph.get("mssp", "/users?$select=id&$top=999")
    first = await graph.get("mssp", "/users?$select=id")
    assert (await graph.delete("mssp", f"/users/{first.ids[0]}")).status == 204
    second = await graph.get("mssp", first.body["@odata.nextLink"])
    assert [*first.ids, *second.ids] == everyone.ids[:6]


async def test_a_count_needs_the_advanced_headers_of_directory_objects(graph: Graph) -> None:
    reply = await graph.get("corporate", "/users?$count=true&$top=2", headers=EVENTUAL)
    assert reply.body["@odata.count"] == 12
    plain = await graph.get("corporate", "/users/$count", headers=EVENTUAL)
    assert plain.body == "12"
    refused = await graph.get("corporate", "/users/$count")
    assert refused.code == "Request_UnsupportedQuery"


async def test_names_are_ordered_on_request(graph: Graph) -> None:
    reply = await graph.get("corporate", "/users?$select=displayName&$orderby=displayName desc")
    names = [one["displayName"] for one in reply.body["value"]]
    assert names == sorted(names, key=str.casefold, reverse=True)


async def test_an_expansion_shows_what_was_selected_of_it(graph: Graph) -> None:
    key = graph.id("mssp", "users", "soc-4f2a")
    reply = await graph.get(
        "mssp",
        f"/roleManagement/directory/roleAssignments?$filter=principalId eq '{key}'"
        "&$expand=principal($select=id,displayName),roleDefinition",
    )
    (assignment,) = reply.body["value"]
    assert assignment["principal"] == {
        "@odata.type": "#microsoft.graph.user",
        "id": key,
        "displayName": "soc-4f2a",
    }
    assert assignment["roleDefinition"]["displayName"] == "Security Reader"


async def test_what_is_asked_for_by_select_is_all_that_comes(graph: Graph) -> None:
    reply = await graph.get("corporate", "/users/alexw@contoso.example?$select=employeeId,accountEnabled")
    assert {name for name in reply.body if not name.startswith("@")} == {"employeeId", "accountEnabled"}


async def test_objects_are_read_by_id_with_their_types(graph: Graph) -> None:
    user, group = graph.id("mssp", "users", "soc-4f2a"), graph.id("mssp", "groups", "SOC Chat")
    body = {"ids": [user, group, "00000000-0000-0000-0000-000000000000"], "types": ["user"]}
    reply = await graph.post("mssp", "/directoryObjects/getByIds?$select=id,accountEnabled", body)
    assert reply.body["value"] == [{"@odata.type": "#microsoft.graph.user", "id": user, "accountEnabled": True}]
    reply = await graph.post("mssp", "/directoryObjects/getByIds", {"ids": [user, group]})
    assert reply.ids == [user, group]
