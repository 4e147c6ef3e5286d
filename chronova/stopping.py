"""How a role ends: at SIGTERM or SIGINT it finishes what it is doing, within a limit.

Python runs a signal's handler in the main thread, between any two of its instructions: also while
the main thread holds a lock, and while it handles another signal. A handler that waits for a lock
may therefore wait for ever; ``threading.Event.set`` takes one. The handler here takes none: it sets
a flag and writes a byte to a pipe. Nobody reads that byte, so it ends every wait for the pipe.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from events.log.supervised import supervised

ENDING = (signal.SIGTERM, signal.SIGINT)
"""The signals that ask a process to end."""


class Stop:
    """Whether this process is to end: an event that ``ENDING`` signals set, for any thread.

    To be made in the main thread. It keeps two file descriptors until the process ends.
    """

    def __init__(self) -> None:
        self._set = False
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        for number in ENDING:
            signal.signal(number, self._on_signal)

    def set(self) -> None:
        """Let the process end. Takes no lock."""
        self._set = True
        with suppress(BlockingIOError):  # the pipe is full of earlier bytes
            os.write(self._writing, b"\0")

    def is_set(self) -> bool:
        """Return whether the process is to end."""
        return self._set

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the process is to end, at most ``timeout`` seconds.

        Returns: whether it is to end.
        """
        waiting = select.poll()
        waiting.register(self._reading, select.POLLIN)
        waiting.poll(None if timeout is None else timeout * 1000)
        return self._set

    def on_stop(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` once when the process is to end; at once where it was told so before.

        It is called in a thread of its own, so it may take any lock.
        """

        def watch() -> None:
            self.wait()
            wake()

        supervised(watch, "stop", self.is_set).start()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.set()
