"""Errors in Nova's form: ``{"itemNotFound": {"code": 404, "message": "…"}}``.

The name follows from the status alone. Only 401 differs: there keystonemiddleware answers,
before Nova is asked.
"""

from __future__ import annotations

import falcon
import orjson

NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}
"""All others are called computeFault."""


def render_error(status: int, code: str, detail: str) -> tuple[bytes, str]:
    """The error's body and its content type."""
    if status == 401:
        body = {"error": {"code": 401, "title": "Unauthorized", "message": detail}}
    else:
        name = NAMES.get(status, "computeFault")
        body = {name: {"code": status, "message": detail}}
    return orjson.dumps(body), "application/json"


def bad_request(detail: str) -> falcon.HTTPError:
    """400."""
    return falcon.HTTPBadRequest(description=detail)


def forbidden(detail: str) -> falcon.HTTPError:
    """403, also for a quota that is used up."""
    return falcon.HTTPForbidden(description=detail)


def not_found(detail: str = "The resource could not be found.") -> falcon.HTTPError:
    """404."""
    return falcon.HTTPNotFound(description=detail)


def conflict(detail: str) -> falcon.HTTPError:
    """409."""
    return falcon.HTTPConflict(description=detail)


def not_implemented(detail: str) -> falcon.HTTPError:
    """501."""
    return falcon.HTTPNotImplemented(description=detail)
