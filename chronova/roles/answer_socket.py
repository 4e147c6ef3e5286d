"""Sockets to clients that may not read: an answer never holds a thread.

What the kernel does not take at once is kept in ``unsent``; the worker's loop sends it when the
client reads. Only an image's data, and an answer that is longer than all others, are sent by the
thread itself, at ``RATE_MIN`` at least.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from errno import ECONNRESET
from typing import Any

UNSENT_BYTES_MAX = 16 << 20
"""More than the longest answer; beyond it the thread waits after all."""
RATE_MIN = 16 * 1024
"""Bytes a second, on average after ``RATE_GRACE_S``, below which a transfer is given up."""
RATE_GRACE_S = 30.0
SECTION_BYTES = 1 << 20


class AnswerSocket(socket.socket):
    """A client's connection."""

    unsent: bytearray

    @classmethod
    def of(cls, accepted: socket.socket) -> AnswerSocket:
        """Take over an accepted connection."""
        made = cls(fileno=accepted.detach())
        made.unsent = bytearray()
        return made

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send what goes at once and keep the rest."""
        if len(self.unsent) + len(data) > UNSENT_BYTES_MAX:
            self.send_unsent_waiting()
            self._send_waiting(data, flags)
            return
        sent = 0
        if not self.unsent:
            try:
                sent = self.send(data, flags | socket.MSG_DONTWAIT)
            except BlockingIOError:
                sent = 0
        if sent < len(data):
            self.unsent += memoryview(data)[sent:]

    def send_unsent(self) -> bool:
        """Send what was kept, as far as it goes; whether nothing is left. Raises ``OSError``."""
        try:
            while self.unsent:
                sent = self.send(memoryview(self.unsent)[:SECTION_BYTES], socket.MSG_DONTWAIT)
                del self.unsent[:sent]
        except BlockingIOError:
            return False
        return True

    def send_unsent_waiting(self) -> None:
        """Send all that was kept; in a thread. Raises as ``sendfile``."""
        kept, self.unsent = self.unsent, bytearray()
        self._send_waiting(kept)

    def _send_waiting(self, data: Any, flags: int = 0) -> None:
        """Send all of ``data``. Raises as ``sendfile``."""
        view = memoryview(data)

        def send(sent: int) -> int:
            return self.send(view[sent : sent + SECTION_BYTES], flags)

        _in_sections(len(view), send)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send ``count`` bytes of a file. Raises ``ConnectionResetError`` for a client that reads
        slower than ``RATE_MIN``, or not at all for as long as the socket's time-out."""
        self.send_unsent_waiting()
        total = count if count is not None else os.fstat(file.fileno()).st_size - offset

        def send(sent: int) -> int:
            section = min(SECTION_BYTES, total - sent)
            return os.sendfile(self.fileno(), file.fileno(), offset + sent, section)

        return _in_sections(total, send)


def _in_sections(total: int, send: Callable[[int], int]) -> int:
    """Send by ``send``, which is told how many bytes went and returns how many more did. One call
    of it lasts no longer than the socket's time-out. Raises as ``AnswerSocket.sendfile``."""
    begun = time.monotonic()
    sent = 0
    while sent < total:
        try:
            done = send(sent)
        except BlockingIOError:
            raise ConnectionResetError(ECONNRESET, "the client does not read") from None
        if not done:
            break
        sent += done
        if too_slow(sent, time.monotonic() - begun):
            raise ConnectionResetError(ECONNRESET, "the client reads too slowly")
    return sent


def too_slow(transferred: int, seconds: float) -> bool:
    """Whether a transfer is below ``RATE_MIN``."""
    return seconds > RATE_GRACE_S and transferred < seconds * RATE_MIN
