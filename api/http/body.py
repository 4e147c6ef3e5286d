"""JSON in and out, with a bound on what is read.

A body over the bound is refused before it is read when its length is announced, and after
``limit + 1`` bytes when it is not: memory stays bounded whatever a client sends.
"""

from __future__ import annotations

import falcon
import orjson

from events.bounds import NESTING_MAX, NUL, too_nested

JSON_TYPES = frozenset(
    {"application/json", "application/vnd.openstack.compute+json", "text/plain", ""}
)


def read_bytes(req: falcon.Request, limit: int) -> bytes:
    """The body. Raises 413 when it is longer than ``limit`` bytes."""
    announced = req.content_length
    if announced is None:
        chunked = (req.get_header("transfer-encoding") or "").lower() == "chunked"
        body = bytes((req.stream if chunked else req.bounded_stream).read(limit + 1))
    elif announced > limit:
        raise falcon.HTTPContentTooLarge(description="Request is too large.")
    else:
        body = bytes(req.bounded_stream.read(announced))
    if len(body) > limit:
        raise falcon.HTTPContentTooLarge(description="Request is too large.")
    return body


def read_json(req: falcon.Request, limit: int) -> object:
    """The body as JSON. Raises 413, 415 (another media type) or as ``parse_json``."""
    media_type = (req.content_type or "").partition(";")[0].strip().lower()
    if media_type not in JSON_TYPES:
        raise falcon.HTTPUnsupportedMediaType(description=f"Unsupported Content-Type {media_type}")
    return parse_json(read_bytes(req, limit))


def parse_json(body: bytes) -> object:
    """JSON of a client. Raises 400: malformed, nested deeper than ``NESTING_MAX``, or with U+0000,
    which no table can hold."""
    if NUL.search(body):
        raise falcon.HTTPBadRequest(description="A text cannot contain the character U+0000.")
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise falcon.HTTPBadRequest(description="Malformed request body") from None
    # Counted first: few bodies have so many brackets at all.
    if body.count(b"[") + body.count(b"{") > NESTING_MAX and too_nested(found):
        raise falcon.HTTPBadRequest(
            description=f"The request body is nested deeper than {NESTING_MAX} levels."
        )
    return found


def read_object(req: falcon.Request, limit: int) -> dict[str, object]:
    """The body as a JSON object. Raises as ``read_json``, and 400 for anything else."""
    body = read_json(req, limit)
    if not isinstance(body, dict):
        raise falcon.HTTPBadRequest(description="Malformed request body")
    return body


def write_json(resp: falcon.Response, body: object, status: int = 200) -> None:
    """Answer ``body`` as JSON."""
    resp.status = status
    resp.content_type = "application/json"
    resp.data = orjson.dumps(body)
