"""Errors in placement's form: a list of one error with a code for programs (from 1.23 on).

The request's id, and what depends on the microversion, is put in by ``microversion``.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

import falcon
import orjson

UNDEFINED = "placement.undefined_code"
BAD_VALUE = "placement.query.bad_value"
MISSING_VALUE = "placement.query.missing_value"
DUPLICATE_KEY = "placement.query.duplicate_key"


def render_error(status: int, code: str, detail: str) -> tuple[bytes, str]:
    """The error's body and its content type."""
    title = HTTPStatus(status).phrase
    if status == 401:
        body: object = {"message": detail, "code": f"401 {title}", "title": title}
    else:
        error = {"status": status, "title": title, "detail": detail, "code": code or UNDEFINED}
        body = {"errors": [error]}
    return orjson.dumps(body), "application/json"


def bad_request(detail: str, code: str = BAD_VALUE) -> falcon.HTTPError:
    """400."""
    return falcon.HTTPBadRequest(description=detail, code=code)


def forbidden(rule: str) -> falcon.HTTPError:
    """403."""
    return falcon.HTTPForbidden(description=f"Policy doesn't allow {rule} to be performed.")


def not_found(detail: str = "The resource could not be found.") -> falcon.HTTPError:
    """404."""
    return falcon.HTTPNotFound(description=detail)


def read_only(detail: str, allowed: Sequence[str]) -> falcon.HTTPError:
    """405: ``detail`` says who writes it instead."""
    return falcon.HTTPMethodNotAllowed(list(allowed), description=detail)
