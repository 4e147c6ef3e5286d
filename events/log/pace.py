"""Pace of a loop that takes batches: under load fewer and larger ones.

A batch costs much that does not depend on its size: an append, a wake-up of each reader, a
transaction. One record alone should never wait; of hundreds a second, each can wait some
milliseconds for the next ones, and all are done earlier for it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

INTERVAL_S = 0.005
"""Between the beginnings of two batches under load."""

BUSY_PER_S = 300.0
"""Inputs a second from which there is load."""

MEMORY_S = 0.1


class Pace:
    """The pace of one loop, which calls ``pause`` before it looks for input and ``took`` after."""

    def __init__(
        self,
        interval_s: float = INTERVAL_S,
        busy_per_s: float = BUSY_PER_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval_s = interval_s
        self._busy_per_s = busy_per_s
        self._clock = clock
        self._sleep = sleep
        self._rate = 0.0
        self._began = -math.inf
        self._seen = -math.inf

    def pause(self) -> None:
        """Under load, wait until the interval since the last batch is over."""
        if self._rate > self._busy_per_s:
            left_s = self._began + self._interval_s - self._clock()
            if left_s > 0:
                self._sleep(left_s)
        self._began = self._clock()

    def took(self, inputs: int) -> None:
        """Count what a batch held."""
        now = self._clock()
        self._rate *= math.exp(-(now - self._seen) / MEMORY_S)
        self._rate += inputs / MEMORY_S
        self._seen = now
