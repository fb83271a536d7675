"""Files of persons and accounts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jml.linking import Wanted, read_links
from shared.errors import InvalidConfiguration

ONE, OTHER = "11111111-1111-4111-8111-111111111111", "2222abcd-2222-4222-8222-222222222222"


def file(tmp_path: Path, text: str, name: str = "links.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def problems(path: Path) -> tuple[str, ...]:
    with pytest.raises(InvalidConfiguration) as refused:
        read_links(path)
    return refused.value.problems


def test_a_csv_and_a_json_of_the_same_links_are_the_same(tmp_path: Path) -> None:
    table = file(tmp_path, f"person,account\n{ONE},soc-1@x.example\n{OTHER},soc-2\n")
    rows = [{"person": ONE, "account": "soc-1@x.example"}, {"person": OTHER, "account": "soc-2"}]
    document = file(tmp_path, json.dumps(rows), "links.JSON")
    assert [(w.person, w.account) for w in read_links(table)] == [(w.person, w.account) for w in read_links(document)]
    assert [wanted.line for wanted in read_links(table)] == [2, 3]


def test_spreadsheets_ways_are_forgiven(tmp_path: Path) -> None:
    """A byte order mark, further columns, their order, spaces, capital letters and empty lines."""
    text = f"\ufeffname,account,person\r\nAlex, soc-1 ,{OTHER.upper()} \r\n\r\n"
    assert read_links(file(tmp_path, text)) == [Wanted(2, OTHER, "soc-1")]


def test_every_line_that_is_wrong_is_named(tmp_path: Path) -> None:
    text = f"person,account\n{ONE},soc-1\nnobody,soc-2\n{OTHER},\n,\n"
    found = problems(file(tmp_path, text))
    assert [problem.partition(": ")[0] for problem in found] == ["line 3", "line 5", "line 4", "line 5"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "links.csv"),
        ("person,account\n", "links.csv"),
        ("id,upn\na,b\n", "links.csv"),
        ("", "links.json"),
        ("{", "links.json"),
        ("[]", "links.json"),
        ("{}", "links.json"),
        ('["a"]', "links.json"),
        ('[{"person": 1, "account": null}]', "links.json"),
        ('[{"person": ["a"], "account": {"b": 1}}]', "links.json"),
    ],
)
def test_a_file_without_links_is_refused(tmp_path: Path, text: str, name: str) -> None:
    assert problems(file(tmp_path, text, name))


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "links.csv"
    assert problems(path)
    path.write_bytes(b"\xff\xfe\x00p")
    assert problems(path)
