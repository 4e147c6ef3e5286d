"""Feature levels: which types of records may be written, so that versions may mix.

A version that adds a type of record (or a new value of a closed set) adds a level to
``LEVELS``, and the type declares it (``Message.since_level``). It is written only when every live
process of the cluster has announced that it knows the level. That is said by two records in the
topic ``features``, which only the owner of the fleet's journal appends (``handlers.features``):

``FeaturesRequired`` first: who knows less does not start any more, and ends where it runs.
``FeaturesEnabled`` then, when still nobody who knows less is there: now the types may be written.

Both hold for ever: a level never goes down, and the highest that was written counts. So it does no
harm when two owners append them at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Annotated

import msgspec

from events.log.contract import LogError
from events.message import Amount, Instant, Message
from events.whole import whole

LOWEST = 1

LEVELS = {LOWEST: "Every record of version 0.1.0."}
"""What each level adds; this version knows them all."""

KNOWN = max(LEVELS)

LOOKS_S = 1.0
"""The log is asked again at most so often while something may not be written."""

Members = Annotated[list[str], "The processes whose heartbeats announced it."]


class FeaturesRequired(Message, frozen=True, kw_only=True):
    """From now on a process has to know this level."""

    level: Annotated[Amount, "The level."]
    at: Instant
    members: Members


class FeaturesEnabled(Message, frozen=True, kw_only=True):
    """From now on records of this level may be written."""

    level: Annotated[Amount, "The level."]
    at: Instant
    members: Members


class NotEnabled(Exception):
    """A record would be of a level that the cluster has not reached; one sentence."""


class TooOld(Exception):
    """This version does not know the level that the cluster requires; one sentence."""


class Reached(msgspec.Struct, frozen=True):
    """The levels that a log holds: required of processes, and enabled for writing."""

    required: int = LOWEST
    enabled: int = LOWEST


class Levels:
    """What one process knows (``known``), and what its log has reached. Thread-safe.

    ``look_up`` reads it in the log and may raise ``LogError``; without one the level is the lowest.
    """

    def __init__(self, known: int = KNOWN, clock: Callable[[], float] = time.monotonic) -> None:
        self.known = known
        self.reached = Reached()
        self.look_up: Callable[[], Reached] | None = None
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at = float("-inf")

    def require(self, message: Message) -> None:
        """Raise ``NotEnabled`` where this record may not be written yet."""
        level = message.level_needed()
        if level <= self.reached.enabled or self._looked(level):
            return
        raise NotEnabled(
            f"{message.type_name} needs feature level {level}, and {self.reached.enabled} is"
            " enabled: every process has to be upgraded first"
        )

    def saw(self, message: Message) -> None:
        """Take a record that only deciders write as a sign that its level is enabled: the log that
        would say so may not answer just now."""
        level = message.level_needed()
        if level > self.reached.enabled:
            self.reached = Reached(max(self.reached.required, level), level)

    def look(self) -> Reached:
        """Read in the log what it has reached. Raises ``LogError``."""
        if self.look_up is not None:
            found, known = self.look_up(), self.reached
            self.reached = Reached(
                max(found.required, known.required), max(found.enabled, known.enabled)
            )
        return self.reached

    def check(self) -> None:
        """Look, and raise ``TooOld`` where this process knows less than is required."""
        required = self.look().required
        if required > self.known:
            raise TooOld(
                f"the cluster's feature level is {required}, and this version of Chronova"
                f" ({self.known}) does not know it: upgrade it"
            )

    @whole
    def _looked(self, level: int) -> bool:
        """Whether the level is enabled by now. A log that does not answer has not enabled it."""
        with self._lock:
            due = self._clock() - self._looked_at >= LOOKS_S
            if due:
                self._looked_at = self._clock()
        if due:
            try:
                self.look()
            except LogError:
                return False
        return level <= self.reached.enabled


PROCESS = Levels()
"""Those of this process; ``chronova.connections.open_site_log`` says where to look."""
