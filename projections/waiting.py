"""Wait until the live projection has reached a position: what read-your-writes rests on.

One thread in each process listens to the channel on which the projector announces every batch;
nobody polls. After a lost connection the positions are read again before anyone is told
anything, so an announcement missed meanwhile is not missed. The thread starts with the first wait,
in the process that waits (after a fork).

While Postgres is away waits end with False after their time: the write is accepted and will show.
"""

from __future__ import annotations

import heapq
import itertools
import os
import select
import threading
from collections.abc import Callable, Collection, Iterable

import structlog

from events.log.contract import TopicPartition
from events.log.supervised import end_process, supervised
from projections.builds import CHANNEL, LIVE_SCHEMA
from projections.connection import GONE, Connection, connect, sentence, telling_loss

PAUSE_S_MIN, PAUSE_S_MAX = 0.1, 2.0
CLOSE_S = 5.0

logger = structlog.get_logger("waiter")


class Reached:
    """Positions reached, and who waits for which. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._positions: dict[TopicPartition, int] = {}
        self._waiting: dict[TopicPartition, list[tuple[int, int, threading.Event]]] = {}
        self._order = itertools.count()

    def wait(self, source: TopicPartition, position: int, timeout_s: float) -> bool:
        """Until ``source`` has reached ``position``; False after ``timeout_s``."""
        with self._lock:
            if self._positions.get(source, 0) >= position:
                return True
            entry = (position, next(self._order), threading.Event())
            heapq.heappush(self._waiting.setdefault(source, []), entry)
        if entry[2].wait(timeout_s):
            return True
        with self._lock:
            if entry in self._waiting[source]:
                self._waiting[source].remove(entry)
                heapq.heapify(self._waiting[source])
        return entry[2].is_set()

    def advance(self, reached: Iterable[tuple[TopicPartition, int]]) -> None:
        """These positions are reached, if no later ones were."""
        with self._lock:
            for source, position in reached:
                if position > self._positions.get(source, 0):
                    self._positions[source] = position
                    self._tell(source, position)

    def replace(self, positions: dict[TopicPartition, int]) -> None:
        """These are the positions, even if lower ones than before (a restored database)."""
        with self._lock:
            self._positions = dict(positions)
            for source, position in positions.items():
                self._tell(source, position)

    def _tell(self, source: TopicPartition, position: int) -> None:
        waiting = self._waiting.get(source)
        while waiting and waiting[0][0] <= position:
            heapq.heappop(waiting)[2].set()


class PositionWaiter:
    """Waits for positions of the live projection in the database at ``database_url``.

    Thread-safe. ``close`` ends its thread; waits under way end when their time is over. ``told``
    is called in that thread with the topics whose events show now, before any waiter goes on;
    with all of them when announcements may have been missed. ``unexpected(reason)`` is called when
    the thread ends for a defect: by default it ends the process.
    """

    def __init__(
        self,
        database_url: str,
        told: Callable[[Collection[str]], None] = lambda topics: None,
        unexpected: Callable[[str], None] = end_process,
    ) -> None:
        self._url = database_url
        self._told = told
        self._unexpected = unexpected
        self._reached = Reached()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._closed = False
        self._bell: tuple[int, int] | None = None

    def wait(self, topic: str, partition: int, position: int, timeout_s: float) -> bool:
        """Until the projection shows ``position`` of that partition; False after ``timeout_s``."""
        self._start()
        return self._reached.wait((topic, partition), position, timeout_s)

    def listen(self) -> None:
        """Begin to listen now, not with the first wait."""
        self._start()

    def close(self) -> None:
        """End the thread. May be called twice."""
        with self._starting:
            self._closed = True
            thread, self._thread = self._thread, None
            if thread is None or self._bell is None or self._pid != os.getpid():
                return
            os.write(self._bell[1], b"x")
        thread.join(CLOSE_S)
        for descriptor in self._bell:
            os.close(descriptor)

    def _start(self) -> None:
        if self._thread is not None and self._pid == os.getpid():
            return
        with self._starting:
            if self._closed or (self._thread is not None and self._pid == os.getpid()):
                return
            self._pid = os.getpid()
            self._reached = Reached()
            self._bell = os.pipe()
            self._thread = supervised(
                self._listen, "positions", lambda: self._closed, self._unexpected
            )
            self._thread.start()

    def _listen(self) -> None:
        pause_s = PAUSE_S_MIN
        while not self._closed:
            try:
                connection = connect(self._url, "positions")
                try:
                    self._subscribe(connection)
                    pause_s = PAUSE_S_MIN
                    self._follow(connection)
                finally:
                    connection.close()
            except GONE as error:
                logger.warning("positions_wait", reason=sentence(error))
                self._rest(pause_s)
                pause_s = min(PAUSE_S_MAX, pause_s * 2)

    def _subscribe(self, connection: Connection) -> None:
        """Listen first, then read: what is announced in between is heard afterwards."""
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
            cursor.execute(f"SELECT to_regclass('{LIVE_SCHEMA}.positions')")
            positions = {}
            if cursor.fetchone() != (None,):
                cursor.execute(f"SELECT topic, partition, position FROM {LIVE_SCHEMA}.positions")
                positions = {(topic, part): at for topic, part, at in cursor.fetchall()}
        self._told({topic for topic, _ in positions})
        self._reached.replace(positions)

    def _follow(self, connection: Connection) -> None:
        waiting = select.poll()
        bell = self._bell[0] if self._bell else -1
        waiting.register(connection.fileno(), select.POLLIN)
        waiting.register(bell, select.POLLIN)
        while not self._closed:
            self._heard(connection)
            waiting.poll()
            with telling_loss():
                connection.poll()

    def _heard(self, connection: Connection) -> None:
        while connection.notifies:
            reached = list(_parsed(connection.notifies.pop(0).payload))
            self._told({topic for (topic, _), _ in reached})
            self._reached.advance(reached)

    def _rest(self, seconds: float) -> None:
        if self._bell is not None:
            select.select([self._bell[0]], [], [], seconds)


def _parsed(payload: str) -> Iterable[tuple[TopicPartition, int]]:
    """``compute.events/3:1234 fleet.events/0:99`` as sources and positions."""
    for word in payload.split():
        source, _, position = word.rpartition(":")
        topic, _, partition = source.rpartition("/")
        yield (topic, int(partition)), int(position)
