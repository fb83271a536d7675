"""HTTP answers: JSON, and RFC 9457 problem documents for whatever goes wrong."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import azure.functions as func

from shared.authorisation import Forbidden, Unauthenticated
from shared.errors import Transient


def answer(document: object, status: int = 200) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(document), status_code=status, mimetype="application/json")


def problem(status: int, detail: str, **more: Any) -> func.HttpResponse:
    """A problem document: what went wrong and what was expected; 401 says how to sign in."""
    document = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'} if status == 401 else None
    return func.HttpResponse(
        json.dumps(document), status_code=status, mimetype="application/problem+json", headers=headers
    )


def problem_of(error: Unauthenticated | Forbidden | Transient) -> func.HttpResponse:
    status = {Unauthenticated: 401, Forbidden: 403, Transient: 503}[type(error)]
    return problem(status, str(error))
