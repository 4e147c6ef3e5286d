"""Deadlines: when what is in flight in a partition has to end.

A deadline is data in an aggregate's state. The heap points to states and may point to old ones:
what counts is what the state says when its moment has come. A deadline whose way out was decided
and did not end it, or could not be decided, is tried again with growing pauses.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import structlog

from events.aggregate import AGGREGATES
from events.message import Command

Key = tuple[str, str]
"""An aggregate's kind and id."""

STALE_MAX = 1_000
"""Entries of the heap that may point to deadlines that are no more, beside one for each that is."""

PAUSE_MIN_US = 1_000_000
PAUSE_MAX_US = 300_000_000


logger = structlog.get_logger("decider")


class Fate(NamedTuple):
    """What a decider does with a state: forget it, where it is ``gone``, or wait for ``deadline``
    (microseconds)."""

    gone: bool
    deadline: int | None


class Overdue(msgspec.Struct, frozen=True):
    """A deadline that has passed: the command that ends it, and how often that was tried."""

    key: Key
    deadline: int
    attempt: int
    command: Command

    @property
    def id(self) -> str:
        """The command's id: another one at each attempt."""
        again = f"#{self.attempt}" if self.attempt else ""
        return f"overdue:{'/'.join(self.key)}@{self.deadline}{again}"


class Deadlines:
    """The deadlines of one partition. ``state_of(key)`` is the aggregate's committed state."""

    def __init__(self, state_of: Callable[[Key], Any]) -> None:
        self._state_of = state_of
        self._heap: list[tuple[int, Key]] = []
        self._noted: dict[Key, int] = {}
        self._attempts: dict[Key, tuple[int, int, int]] = {}
        """Of deadlines that were tried: which one, how often, and when it may be tried again."""

    def note(self, key: Key, deadline: int | None) -> None:
        """Remember the deadline of a state that has changed, None where it has none."""
        if deadline is None:
            self._noted.pop(key, None)
            self._attempts.pop(key, None)
        elif self._noted.get(key) != deadline:
            self._noted[key] = deadline
            heapq.heappush(self._heap, (deadline, key))
            if len(self._heap) > STALE_MAX + 2 * len(self._noted):
                self._drop_stale()

    def _drop_stale(self) -> None:
        """A long fold would leave millions of entries whose deadlines are no more."""
        again = {key: again for key, (_, _, again) in self._attempts.items()}
        self._heap = [(max(at, again.get(key, at)), key) for key, at in self._noted.items()]
        heapq.heapify(self._heap)

    def next(self) -> int | None:
        """Return the moment (microseconds) at which something may be overdue, if there is one."""
        return self._heap[0][0] if self._heap else None

    def overdue(self, now: int, until: int | None = None) -> list[Overdue]:
        """Return what was overdue at ``until`` (None: now), each once; it comes again after a pause
        unless it has ended."""
        until = now if until is None else until
        found = []
        while self._heap and self._heap[0][0] <= until:
            _, key = heapq.heappop(self._heap)
            deadline = deadline_of(key, self._state_of(key))
            if deadline is None or deadline > until:
                continue  # an entry of its own is in the heap
            known, attempt, again = self._attempts.get(key, (deadline, 0, deadline))
            if known != deadline:
                attempt, again = 0, deadline
            if again > now:
                heapq.heappush(self._heap, (again, key))
                continue
            pause = min(PAUSE_MAX_US, PAUSE_MIN_US << min(attempt, 16))
            self._attempts[key] = (deadline, attempt + 1, now + pause)
            heapq.heappush(self._heap, (now + pause, key))
            if (command := self._way_out(key)) is not None:
                found.append(Overdue(key, deadline, attempt, command))
        return found

    def _way_out(self, key: Key) -> Command | None:
        """The command that ends what is overdue. None where there is none by a defect: it is asked
        for again after the pause, and other deadlines pass."""
        try:
            ends = AGGREGATES[key[0]].overdue
            assert ends is not None, f"{key[0]} has deadlines and no way out"
            return ends(self._state_of(key))
        except Exception:
            logger.exception("no_way_out", aggregate="/".join(key))
            return None


def fate_of(key: Key, state: Any) -> Fate:
    """Return what is to be done with an aggregate's state; None: there is none any more."""
    if state is None or AGGREGATES[key[0]].gone(state):
        return Fate(True, None)
    return Fate(False, deadline_of(key, state))


def deadline_of(key: Key, state: Any) -> int | None:
    """Return the deadline (microseconds) of an aggregate's state, None where it has none."""
    of = AGGREGATES[key[0]].deadline
    return of(state) if of is not None and state is not None else None
