"""Receiving image data: from the client's connection into the store, chunk by chunk.

Every way in which it can fail is one ``Failed`` with the status and the sentence for the client;
the caller reports it, and the image is queued again. What arrived is gone when ``receive``
ends without a result.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import falcon
import msgspec
from gunicorn.http.errors import ParseException

from api.image.inspection import Found, Inspection, Unsafe
from api.image.store import ImageStore, Stored, StoreFailed, StoreFull

CHUNK_BYTES = 256 * 1024
STALL_TIMEOUT_S = 30.0
"""A client that sends nothing for so long has gone. For one that sends too slowly the server's
socket raises ``TimeoutError``, whichever way the body is read: here it would be too late, for
a read returns only with a whole chunk."""

LEASE_MS = 600_000
EXTEND_INTERVAL_S = LEASE_MS / 1000 / 4


class Failed(Exception):
    """The data did not arrive, or cannot be taken."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Received(msgspec.Struct, frozen=True):
    """What lies in the store, and what it is."""

    stored: Stored
    found: Found


class Body:
    """A request's body, chunked or of announced length, bounded in size and in patience.

    ``bytes_max``: of one image. ``bytes_left``: what the project may have more, None for any
    number; asked at the beginning and at the end.
    """

    def __init__(
        self, req: falcon.Request, bytes_max: int, bytes_left: Callable[[], int | None]
    ) -> None:
        self._bytes_max = bytes_max
        self._bytes_left = bytes_left
        self._left = bytes_left()
        self._announced = req.content_length
        self._declared = declared_size(req)
        self.received = 0
        """Bytes read so far."""
        chunked = "chunked" in (req.get_header("Transfer-Encoding") or "").lower()
        if chunked and not req.env.get("wsgi.input_terminated"):
            raise Failed(411, "This server needs a Content-Length.")
        self._stream = req.stream if chunked else req.bounded_stream
        self._socket: socket.socket | None = req.env.get("gunicorn.socket")
        sizes = [size for size in (self._announced, self._declared) if size is not None]
        self.size_known = max(sizes, default=0)
        """As announced; 0 where it is not."""
        self._check_size(self.size_known)

    def read(self) -> bytes:
        """The next chunk, empty at the end. Raises ``Failed``."""
        try:
            chunk = bytes(self._stream.read(CHUNK_BYTES))
        except TimeoutError as error:
            raise Failed(408, f"The data came too slowly: {error}.") from None
        except OSError as error:
            raise Failed(400, f"The connection was lost in the upload: {error}") from error
        except ParseException as error:
            raise Failed(400, f"The chunks of the body are malformed: {error}") from error
        self.received += len(chunk)
        if not chunk:
            self._check_length()
            self._left = self._bytes_left()  # other uploads may have come to their end
        self._check_size(self.received)
        return chunk

    def _check_length(self) -> None:
        for size, header in (
            (self._announced, "Content-Length"),
            (self._declared, "x-openstack-image-size"),
        ):
            if size is not None and size != self.received:
                raise Failed(
                    400, f"{header} announced {size} bytes, but {self.received} bytes came."
                )

    def _check_size(self, size: int) -> None:
        if size > self._bytes_max:
            raise Failed(
                413,
                f"The image exceeds the maximum size of {self._bytes_max} bytes for an image.",
            )
        if self._left is not None and size > self._left:
            raise Failed(
                413,
                f"The size of the data {size} will exceed the limit. {self._left} bytes remaining.",
            )

    def __enter__(self) -> Body:
        self._set_timeout(STALL_TIMEOUT_S)
        return self

    def __exit__(self, *error: Any) -> None:
        self._set_timeout(None)

    def _set_timeout(self, timeout_s: float | None) -> None:
        if self._socket is not None and self._socket.fileno() >= 0:
            self._socket.settimeout(timeout_s)


def declared_size(req: falcon.Request) -> int | None:
    """The header ``x-openstack-image-size``. Raises ``Failed`` (400)."""
    text = req.get_header("x-openstack-image-size")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise Failed(400, "x-openstack-image-size must be a number of bytes.")
    return int(text)


def receive(
    body: Body,
    store: ImageStore,
    image_id: str,
    upload_id: str,
    contradiction: Callable[[Found], str | None],
    extend: Callable[[int], None],
) -> Received:
    """All of the body, in the store and referred to by the image. ``extend(bytes so far)`` is
    called now and then while data arrives. Raises ``Failed``, and what ``extend`` raises."""
    inspection = Inspection()
    try:
        with body, store.begin(upload_id, body.size_known) as upload:
            extended = time.monotonic()
            while chunk := body.read():
                inspection.see(chunk)
                upload.write(chunk)
                if time.monotonic() - extended > EXTEND_INTERVAL_S:
                    extend(body.received)
                    extended = time.monotonic()
            found = inspection.result()
            reason = contradiction(found)
            if reason is not None:
                raise Failed(415, reason)
            return Received(upload.finish(image_id), found)
    except Unsafe as error:
        raise Failed(415, str(error)) from error
    except StoreFull as error:
        raise Failed(413, f"Image storage media is full: {error}") from error
    except StoreFailed as error:
        raise Failed(503, str(error)) from error
