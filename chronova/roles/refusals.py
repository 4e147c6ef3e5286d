"""Answers that need no thread, in the form that Keystone's and Glance's clients read."""

from __future__ import annotations

import json
from http import HTTPStatus


def refusal(status: HTTPStatus, message: str, *headers: str) -> bytes:
    """Return the whole answer, after which the connection is closed."""
    error = {"code": status.value, "title": status.phrase, "message": message}
    body = json.dumps({"error": error}).encode()
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        *headers,
        "Connection: close",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


BUSY = refusal(HTTPStatus.SERVICE_UNAVAILABLE, "Too many requests are under way.", "Retry-After: 2")
MALFORMED = refusal(HTTPStatus.BAD_REQUEST, "The request is malformed.")
