"""Sockets to clients that may not read or send: neither an answer nor a body holds a thread.

What the kernel does not take at once is kept in ``unsent``; the worker's loop sends it when the
client reads. Only an image's data, and an answer that is longer than all others, are sent by the
thread itself. What a thread reads or sends itself has to keep its ``Pace``, whoever asked for it:
an upload, or gunicorn, which reads away what an application leaves of a body.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from errno import ECONNRESET
from typing import Any

from chronova.roles.pace import RATE_MIN, Pace

UNSENT_BYTES_MAX = 16 << 20
"""More than the longest answer; beyond it the thread waits after all."""
SECTION_BYTES = 1 << 20


class AnswerSocket(socket.socket):
    """A client's connection."""

    unsent: bytearray
    pace: Pace
    """Of what threads read and send since they took the connection over."""

    @classmethod
    def of(cls, accepted: socket.socket) -> AnswerSocket:
        """Take over an accepted connection."""
        made = cls(fileno=accepted.detach())
        made.unsent = bytearray()
        made.pace = Pace()
        return made

    def setblocking(self, flag: bool, /) -> None:
        """A thread takes the connection over (True), or gives it back to the loop."""
        super().setblocking(flag)
        if flag:
            self.pace = Pace()

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Receive. Raises ``TimeoutError`` in a thread that has waited too long for too little."""
        if self.gettimeout() == 0:
            return super().recv(bufsize, flags)
        begun = time.monotonic()
        data = super().recv(bufsize, flags)
        if data and not self.pace.kept(len(data), time.monotonic() - begun):
            raise TimeoutError(f"less than {RATE_MIN} bytes a second came")
        return data

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

        self._in_sections(len(view), send)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send ``count`` bytes of a file. Raises ``ConnectionResetError`` for a client that reads
        slower than ``RATE_MIN``, or not at all for as long as the socket's time-out."""
        self.send_unsent_waiting()
        total = count if count is not None else os.fstat(file.fileno()).st_size - offset

        def send(sent: int) -> int:
            section = min(SECTION_BYTES, total - sent)
            return os.sendfile(self.fileno(), file.fileno(), offset + sent, section)

        return self._in_sections(total, send)

    def _in_sections(self, total: int, send: Callable[[int], int]) -> int:
        """Send by ``send``, which is told how many bytes went and returns how many more did. One
        call of it lasts no longer than the socket's time-out. Raises as ``sendfile``."""
        sent = 0
        while sent < total:
            begun = time.monotonic()
            try:
                done = send(sent)
            except BlockingIOError:
                raise ConnectionResetError(ECONNRESET, "the client does not read") from None
            if not done:
                break
            sent += done
            if not self.pace.kept(done, time.monotonic() - begun):
                raise ConnectionResetError(ECONNRESET, "the client reads too slowly")
        return sent
