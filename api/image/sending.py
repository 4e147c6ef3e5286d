"""Sending image data: whole or one range, from the file without passing through memory.

Source: RFC 9110, 14 (ranges); Glance API reference, "Download binary image data".
"""

from __future__ import annotations

import re

import falcon

from api.image.store import ImageStore, NotStored, StoreFailed

OCTETS = "application/octet-stream"
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)")

Span = tuple[int, int]
"""First byte and number of bytes."""


def send_data(
    req: falcon.Request,
    resp: falcon.Response,
    store: ImageStore,
    sha512: str,
    md5: str | None = None,
) -> None:
    """Answer with the data: 200, 206, or 416, or 404 when the store has lost it."""
    try:
        size = store.open(sha512)
        size.close()
        span = asked_range(req, size.size)
        start, length = span or (0, size.size)
        section = store.open(sha512, start, length)
    except NotStored:
        raise falcon.HTTPNotFound(description="The image's data is not in the store.") from None
    except StoreFailed as error:
        raise falcon.HTTPServiceUnavailable(description=str(error)) from error
    resp.content_type = OCTETS
    resp.set_header("Accept-Ranges", "bytes")
    if span is not None:
        resp.status = 206
        resp.set_header("Content-Range", f"bytes {start}-{start + length - 1}/{section.size}")
    elif md5 is not None:
        resp.set_header("Content-MD5", md5)
    resp.set_stream(section, length)


def asked_range(req: falcon.Request, size: int) -> Span | None:
    """The part of ``size`` bytes that is asked for, None for all. Raises 400 or 416."""
    if req.get_header("Range") is not None:
        if req.range_unit != "bytes" or req.range is None:
            return None
        first, last = req.range
    elif (text := req.get_header("Content-Range")) is not None:
        # Glance's first clients sent this header in requests.
        match = _CONTENT_RANGE.fullmatch(text.strip())
        if match is None:
            raise falcon.HTTPInvalidHeader("It must be bytes a-b/total or /*.", "Content-Range")
        first, last = int(match[1]), int(match[2])
    else:
        return None
    if first < 0:
        first, last = max(size + first, 0), size - 1
    elif last < 0:
        last = size - 1
    last = min(last, size - 1)
    if first > last:
        raise falcon.HTTPRangeNotSatisfiable(size)
    return first, last - first + 1
