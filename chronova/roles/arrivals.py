"""Requests as they arrive, byte by byte, until one is here whole.

The worker's loop takes the bytes of each connection into an ``Arrival``; only a whole request gets
a thread. So a client that is slow, idle or never finishes costs memory, not a thread: heads, bodies
of an announced length, chunked ones and those that wait for ``100 Continue`` alike. The
exception is an image's data, which is too large to be kept: it is read by a thread of its own lane.

What is malformed is handed over as far as it is known to be the head: gunicorn refuses it.
"""

from __future__ import annotations

import re
from enum import Enum
from urllib.parse import unquote_to_bytes

HEAD_BYTES_MAX = 64 * 1024
"""More than gunicorn takes as headers."""
BODY_BYTES_MAX = 512 * 1024
"""The largest body that any resource reads whole: an image's record."""
FRAMING_BYTES_MAX = 64 * 1024
"""Of chunk sizes and extensions in one body."""

DATA = re.compile(rb"/+image/v2/images/[^/]+/(file|stage)/*")
"""Paths at which an image's data is put."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_LINE = re.compile(rb"([A-Z]+) (?:https?://[^/ ?]*)?([^ ?]*)(?:\?([^ ]*))? ")
_LENGTHS = re.compile(rb"\r\ncontent-length:[ \t]*([^\r]*?)[ \t]*(?=\r\n)")
_CODINGS = re.compile(rb"\r\ntransfer-encoding:[ \t]*([^\r]*?)[ \t]*(?=\r\n)")
_EXPECT = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*(?=\r\n)", re.IGNORECASE)
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")


def target_of(head: bytes) -> tuple[bytes, bytes, bytes]:
    """Return method, decoded path and query of a request's head; empty for what is none."""
    match = _LINE.match(head)
    if match is None:
        return b"", b"", b""
    return match[1], unquote_to_bytes(match[2]), match[3] or b""


class Stage(Enum):
    """How far a request has come."""

    ARRIVING = "arriving"
    WHOLE = "whole"
    STREAMED = "streamed"
    """The head is here; a thread reads the body."""
    TOO_LARGE = "too large"
    """The head is here; the body is larger than any resource takes."""
    MALFORMED = "malformed"
    """Not to be handed over: gunicorn would wait for more."""


class Arrival:
    """One request of a connection, from its first byte."""

    def __init__(self, first: bytes = b"") -> None:
        self.stage = Stage.ARRIVING
        self.expects_continue = False
        """The client waits for ``CONTINUE`` before it sends the body."""
        self._bytes = bytearray()
        self._head = 0
        """Length of the head with its empty line; 0 until it is known."""
        self._end = 0
        """Length of the request, as far as it is known."""
        self._decoded = 0
        """Bytes of a chunked body so far."""
        self._chunked = False
        self.feed(first)

    def feed(self, data: bytes) -> None:
        """Take bytes that came."""
        seen = len(self._bytes)
        self._bytes += data
        if self.stage is not Stage.ARRIVING:
            return
        if not self._head:
            self._find_head(max(0, seen - 3))
        if self._head and self.stage is Stage.ARRIVING:
            self._find_end()

    def __len__(self) -> int:
        return len(self._bytes)

    @property
    def head(self) -> bytes:
        """The request line and the headers, as far as they have come."""
        return bytes(self._bytes[: self._head or HEAD_BYTES_MAX])

    def taken(self) -> tuple[bytes, bytes]:
        """What is for a thread, and what follows it: the beginning of the next request."""
        if self.stage is Stage.WHOLE:
            request, rest = bytes(self._bytes[: self._end]), bytes(self._bytes[self._end :])
        else:
            request, rest = bytes(self._bytes), b""
        if self.stage is not Stage.STREAMED and self._head:
            head = _EXPECT.sub(b"", request[: self._head])
            if self.stage is Stage.TOO_LARGE:
                head = head[:-2] + b"Connection: close\r\n\r\n"
            request = head + request[self._head :]
        return request, rest

    def _find_head(self, since: int) -> None:
        at = self._bytes.find(b"\r\n\r\n", since)
        if at < 0:
            if len(self._bytes) > HEAD_BYTES_MAX:
                self.stage = Stage.MALFORMED
            return
        self._head = self._end = at + 4
        head = bytes(self._bytes[: self._head])
        method, path, _ = target_of(head)
        if path and not path.startswith(b"/"):
            self.stage = Stage.MALFORMED  # CONNECT and OPTIONS *: no resource has such a path
            return
        if method == b"PUT" and DATA.fullmatch(path):
            self.stage = Stage.STREAMED
            return
        head = head.lower()
        lengths, codings = _LENGTHS.findall(head), _CODINGS.findall(head)
        if codings and codings != [b"chunked"]:
            self.stage = Stage.MALFORMED
        elif (lengths and codings) or len(lengths) > 1:
            self.stage = Stage.WHOLE  # gunicorn refuses it as it reads the headers
        elif codings:
            self._chunked = True
        elif lengths:
            self._measure(lengths[0])
        else:
            self.stage = Stage.WHOLE
        waits = self.stage is Stage.ARRIVING and len(self._bytes) == self._head
        self.expects_continue = waits and _EXPECT.search(head) is not None

    def _measure(self, length: bytes) -> None:
        if not length.isdigit():
            self.stage = Stage.WHOLE  # gunicorn refuses it
        elif len(length) > 15 or int(length) > BODY_BYTES_MAX:
            self.stage = Stage.TOO_LARGE
        else:
            self._end = self._head + int(length)

    def _find_end(self) -> None:
        if not self._chunked:
            if len(self._bytes) >= self._end:
                self.stage = Stage.WHOLE
            return
        while self.stage is Stage.ARRIVING and self._next_chunk():
            pass

    def _next_chunk(self) -> bool:
        """Pass over one chunk; False when it has not come whole."""
        match = _CHUNK.match(self._bytes, self._end)
        if match is None:
            waiting = self._bytes.find(b"\n", self._end) < 0
            if not waiting or len(self._bytes) - self._end > FRAMING_BYTES_MAX:
                self.stage = Stage.MALFORMED
            return False
        size = int(match[1], 16)
        if size == 0:
            return self._trailers(match.end())
        after = match.end() + size
        if self._decoded + size > BODY_BYTES_MAX or self._end > 2 * BODY_BYTES_MAX:
            self.stage = Stage.TOO_LARGE
            return False
        if len(self._bytes) < after + 2:
            return False
        if self._bytes[after : after + 2] != b"\r\n":
            self.stage = Stage.MALFORMED
            return False
        self._decoded += size
        self._end = after + 2
        return True

    def _trailers(self, begin: int) -> bool:
        if self._bytes[begin : begin + 2] == b"\r\n":
            self._end = begin + 2
            self.stage = Stage.WHOLE
            return True
        at = self._bytes.find(b"\r\n\r\n", begin)
        if at >= 0:
            self._end = at + 4
            self.stage = Stage.WHOLE
        elif len(self._bytes) - begin > FRAMING_BYTES_MAX:
            self.stage = Stage.MALFORMED
        return at >= 0
