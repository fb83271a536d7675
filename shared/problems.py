"""HTTP answers: JSON, and RFC 9457 problem documents for whatever goes wrong."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import azure.functions as func

from shared.authorisation import Forbidden, Unauthenticated
from shared.bodies import BadRequest, TooLarge
from shared.errors import Conflict, Denied, LostOrder, NotThere, Refused, Transient, Undecidable

STATUSES: dict[type[Exception], int] = {
    BadRequest: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotThere: 404,
    Undecidable: 409,
    Conflict: 409,
    LostOrder: 409,
    TooLarge: 413,
    Refused: 502,
    Denied: 503,
    Transient: 503,
}
"""What kept a request from being answered → its status."""


def answer(document: object, status: int = 200) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(document), status_code=status, mimetype="application/json")


def problem(status: int, detail: str, **more: Any) -> func.HttpResponse:
    """A problem document: what went wrong and what was expected; 401 says how to sign in."""
    document = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'} if status == 401 else None
    return func.HttpResponse(
        json.dumps(document), status_code=status, mimetype="application/problem+json", headers=headers
    )


def problem_of(error: Exception) -> func.HttpResponse:
    """The problem document of one of STATUSES; what was decided too late or too early says what it is now."""
    if isinstance(error, Conflict | LostOrder):
        return problem(409, "somebody else has changed it at the same moment: try again")
    now = {"digest": error.digest} if isinstance(error, Undecidable) and error.digest else {}
    return problem(STATUSES[type(error)], str(error), **now)
