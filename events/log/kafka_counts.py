"""How many partitions each topic has, remembered for a while.

A topic that is deleted and made again may have another number. So a number is asked for again
after ``AGE_S``, and after any failure with its topic. That a topic is missing is never
remembered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

AGE_S = 60.0
"""A record goes by an old number for at most that long; a look costs one request."""

Ask = Callable[[str, float], int]
"""``ask(topic, timeout_s)``: the number there is now. Raises ``TopicMismatch`` for none."""


class PartitionCounts:
    """Numbers of partitions by topic. Thread-safe: each step is one of a dictionary's."""

    def __init__(self, ask: Ask, now: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._now = now
        self._known: dict[str, tuple[int, float]] = {}

    def of(self, topic: str, timeout_s: float) -> int:
        """The number of a topic's partitions."""
        count, seen_at = self._known.get(topic, (0, 0.0))
        if not count or self._now() - seen_at > AGE_S:
            self._known.pop(topic, None)
            count = self._ask(topic, timeout_s)
            self.note({topic: count})
        return count

    def note(self, counts: Mapping[str, int]) -> None:
        """Remember what is known from elsewhere."""
        now = self._now()
        self._known.update({topic: (count, now) for topic, count in counts.items()})

    def forget(self, topics: Iterable[str]) -> None:
        """Ask for these topics next time."""
        for topic in topics:
            self._known.pop(topic, None)
