"""Which partitions wait for help, so that who writes there is told at once and not after 15 s.

Deciders say it in their heartbeats, which the projections keep. What is known here is up to a
second old, and a decider speaks every ten seconds: after the mending, writes to that partition are
still answered 503 until its next heartbeat. Where the tables do not answer nothing is known, and a
command is sent.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable

import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from projections.failures import ProjectionNotReady
from projections.fleet.services import troubles

HEARD_US = 30_000_000
"""What a decider said that long ago may be mended since."""

FRESH_S = 1.0

_TROUBLE = re.compile(r"nova-\w+ on \S+: (?P<domain>[a-z]+)\.events/(?P<number>\d{1,6}): ")

Place = tuple[str, int]
"""A domain and the number of one of its partitions."""


class WaitingPartitions:
    """Asks the tables of ``engine`` at most once a second. Thread-safe."""

    def __init__(
        self, engine: sqlalchemy.Engine, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._asking = threading.Lock()
        self._asked_at = float("-inf")
        self._known: frozenset[Place] = frozenset()

    def __call__(self, domain: str, number: int) -> bool:
        """Whether the decider of this partition has said that it waits for help."""
        fresh = self._clock() - self._asked_at <= FRESH_S
        if not fresh and self._asking.acquire(blocking=False):
            try:
                self._known = self._asked()
                self._asked_at = self._clock()
            finally:
                self._asking.release()
        return (domain, number) in self._known

    def _asked(self) -> frozenset[Place]:
        try:
            with self._engine.connect() as connection:
                said = troubles(connection, time.time_ns() // 1000 - HEARD_US)
        except (SQLAlchemyError, ProjectionNotReady):
            return frozenset()
        found = (_TROUBLE.match(sentence) for sentence in said)
        return frozenset((one["domain"], int(one["number"])) for one in found if one)
