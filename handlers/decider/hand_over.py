"""From where on effects may be handed to a partition in memory: see ``router``."""

from __future__ import annotations

import threading
from typing import NamedTuple


class End(NamedTuple):
    """Where a partition's commands end; ``losses`` as they were when that was asked."""

    end: int
    losses: int


class HandOver:
    """The offset of a partition's commands that it must have read first. Thread-safe."""

    def __init__(self) -> None:
        self.start: int | None = 0
        """None: it is not known, and nothing is handed over until the log has said it."""
        self.losses = 0
        """How often it became unknown: an answer to an older question does not count."""
        self._lock = threading.Lock()

    def wait_for(self, end: int | None) -> None:
        """An effect may lie before ``end``; None: the log did not say where the commands end."""
        with self._lock:
            if end is None:
                self.losses += 1
                self.start = None
            elif self.start is not None:
                self.start = max(self.start, end)

    def learn(self, answer: End) -> None:
        """The log has said where the commands end."""
        with self._lock:
            if self.start is None and self.losses == answer.losses:
                self.start = answer.end
