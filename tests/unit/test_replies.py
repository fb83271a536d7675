"""What a Graph reply means for somebody who reads: unknown is never empty."""

from __future__ import annotations

import pytest

from shared.errors import Denied, Refused, Transient
from shared.ports import Reply
from shared.replies import TRANSIENT, describe, expect

ERROR = {"error": {"code": "SomeCode", "message": "Alex Wilber does not exist"}}


@pytest.mark.parametrize("status", [200, 201, 204])
def test_success_is_the_body(status: int) -> None:
    assert expect(Reply(status, {"value": []}), "a page", "a permission") == {"value": []}


@pytest.mark.parametrize(
    ("status", "error"),
    [*((status, Transient) for status in sorted(TRANSIENT)), (401, Transient), (403, Denied)]
    + [(status, Refused) for status in (301, 400, 404, 405, 409, 410, 412, 424, 501)],
)
def test_everything_else_raises(status: int, error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        expect(Reply(status, ERROR, "req-1", 7.0), "a page", "This.Permission")
    assert "Alex" not in str(raised.value)
    if isinstance(raised.value, Transient):
        assert raised.value.retry_after == 7.0
    if isinstance(raised.value, Denied):
        assert "This.Permission" in str(raised.value)


@pytest.mark.parametrize("body", [{}, {"error": None}, {"error": "text"}, {"error": []}, {"error": {"code": None}}])
def test_an_error_of_no_known_shape_is_described_all_the_same(body: dict[str, object]) -> None:
    assert "500" in describe(Reply(500, body, "req-1"))
