"""What was accepted and does not show yet, of one process and each project.

A read that finds nothing may be of just that: it is answered 503 then, not 404, which would say
that the thing is not there. Nothing is noted while the projection follows in time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from events.log.contract import TopicPartition

NOTED_S = 60.0
"""So long after an acceptance. A projection that waits for its operator shows in /healthz."""
NOTED_MAX = 1000
"""Beyond it the oldest is forgotten."""

Shows = Callable[[TopicPartition, int], bool]
"""``shows(source, position)``: whether the projection has reached it. Does not wait."""


class Unseen:
    """Positions that did not show in time, by who asked. Thread-safe: each step is one of a
    dictionary's."""

    def __init__(self, shows: Shows, now: Callable[[], float] = time.monotonic) -> None:
        self._shows = shows
        self._now = now
        self._noted: dict[tuple[str, TopicPartition], tuple[int, float]] = {}

    def note(self, project: str, source: TopicPartition, position: int) -> None:
        """What this project asked for was accepted, and does not show."""
        self._noted.pop((project, source), None)
        self._noted[project, source] = (position, self._now())
        for oldest in list(self._noted)[:-NOTED_MAX]:
            self._noted.pop(oldest, None)

    def __contains__(self, project: object) -> bool:
        """Whether there is something of a project."""
        if not self._noted:
            return False
        for key, (position, at) in tuple(self._noted.items()):
            if self._now() - at > NOTED_S or self._shows(key[1], position):
                self._noted.pop(key, None)
            elif key[0] == project:
                return True
        return False
