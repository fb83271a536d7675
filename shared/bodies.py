"""Bodies of requests: a JSON object with exactly the texts that are expected, or a refusal that names the field."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

MOST_BYTES = 16 * 1024


class BadRequest(ValueError):
    """The request is not what was expected; the message names the field or parameter."""


class TooLarge(ValueError):
    """The body is larger than anything that is expected here."""


def read_texts(body: bytes, expected: Mapping[str, tuple[re.Pattern[str], str]]) -> dict[str, str]:
    """The fields of `body`. `expected`: name → pattern, and what it means in words. Raises BadRequest and TooLarge."""
    if len(body) > MOST_BYTES:
        raise TooLarge(f"body: at most {MOST_BYTES} bytes were expected, {len(body)} came")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest("body: a JSON object was expected") from error
    if not isinstance(document, dict):
        raise BadRequest("body: a JSON object was expected")
    if unknown := sorted(document.keys() - expected.keys()):
        raise BadRequest(f"body: only {', '.join(expected)} was expected, not {unknown[0][:64]!r}")
    for name, (pattern, words) in expected.items():
        value = document.get(name)
        if not isinstance(value, str) or not pattern.match(value):
            raise BadRequest(f"{name}: {words} was expected")
    return {name: str(document[name]) for name in expected}
