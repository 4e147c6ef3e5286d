"""How a role ends: at SIGTERM or SIGINT it finishes what it is doing, within a limit."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType


class Stop:
    """Set by SIGTERM and SIGINT. ``wake`` is called then, to end a wait in the main thread."""

    def __init__(self) -> None:
        self.event = threading.Event()
        """Set when the role is to end."""
        self._wakes: list[Callable[[], None]] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def on_stop(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` when the role is to end."""
        self._wakes.append(wake)

    def stopped(self) -> bool:
        """Whether the role is to end."""
        return self.event.is_set()

    def pause(self, seconds: float) -> bool:
        """Wait, but not beyond the end; whether the role is to end."""
        return self.event.wait(seconds)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.event.set()
        for wake in self._wakes:
            wake()
