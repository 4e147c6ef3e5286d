"""How far the live tables are behind the log, and whether anybody keeps them level.

Offsets need not be dense, so what lies between a table's position and the log's end is read to be
counted: nothing but that, and not more than ``RECORDS_MAX`` records. One thread's; it holds a
connection open between measurements and makes it anew when it breaks. A reader lives no longer than
one measurement: on Postgres its process would be sent all events for as long as it is open.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from events.log.contract import Log, LogError, Reader, TopicPartition
from events.log.terms import is_control
from projections import aside, builds
from projections.builds import Build, Places
from projections.connection import GONE, Connection, connect
from projections.failures import ProjectionNotReady
from projections.follower import event_sources
from projections.model import ReadModel, read_model

RECORDS_MAX = 1000
READ_S_MAX = 0.5
"""Bounds of one measurement; beyond them the rest is told by its offsets."""

LOOK_AGAIN_S = 0.2

NAMED_MAX = 5
"""Aggregates set aside that are named; `chronova doctor` names more."""


class Standing(msgspec.Struct, frozen=True):
    """Where the live build is. ``behind``: by topic, how many events it has still to read (beyond
    the bounds: offsets, which include Kafka's markers). ``seconds``: how long ago the oldest of
    them was appended. ``followed``: whether a projector has the build. ``set_aside``: how many
    aggregates have no right row; ``set_aside_named``: the oldest ``NAMED_MAX`` of them, as
    ``aggregate/id``. ``waiting``: the partitions that wait, and why; they are not
    counted in ``behind`` and ``seconds``."""

    build: int
    version: str
    behind: Mapping[str, int]
    seconds: float
    followed: bool
    set_aside: int = 0
    waiting: Mapping[str, str] = {}
    set_aside_named: Sequence[str] = ()


class Lag:
    """Measures. ``clock``: now, in microseconds since 1970."""

    def __init__(
        self,
        log: Log,
        database_url: str,
        model: ReadModel | None = None,
        clock: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._log = log
        self._url = database_url
        self._model = model or read_model()
        self._version = self._model.version()
        self._clock = clock
        self._connection: Connection | None = None

    def measure(self) -> Standing:
        """Now. Raises ``ProjectionNotReady``, ``LogError`` or what ``connection.GONE`` names."""
        try:
            return self._measured()
        except (LogError, *GONE):
            self.close()
            raise

    def close(self) -> None:
        """Release the connection; the next measurement makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _measured(self) -> Standing:
        if self._connection is None:
            self._connection = connect(self._url, "lag", {"statement_timeout": "5s"})
        build, places, followed = _standing(self._connection)
        if not followed:  # one hands over to the next between two looks
            time.sleep(LOOK_AGAIN_S)
            build, places, followed = _standing(self._connection)
        set_aside, named, waiting = 0, list[str](), list[aside.Waiting]()
        if build.version == self._version:
            set_aside = aside.count(self._connection, build.schema)
            if set_aside:
                named = aside.first(self._connection, build.schema, NAMED_MAX)
            waiting = aside.waiting(self._connection, build.schema)
        held = {one.source for one in waiting}
        sources = [one for one in event_sources(self._log, self._model) if one not in held]
        behind, oldest = _unread(self._log, places, self._log.ends(sources))
        return Standing(
            build=build.build,
            version=build.version,
            behind=behind,
            seconds=max(0.0, (self._clock() - oldest) / 1e6) if oldest is not None else 0.0,
            followed=followed,
            set_aside=set_aside,
            set_aside_named=named,
            waiting={f"{one.topic}/{one.partition}": one.error for one in waiting},
        )


def _unread(
    log: Log, places: Places, ends: Mapping[TopicPartition, int]
) -> tuple[dict[str, int], int | None]:
    """By topic, what lies between ``places`` and ``ends``; when the oldest of it was appended."""
    behind = dict.fromkeys((topic for topic, _ in ends), 0)
    starts = {source: places[source].offset if source in places else 0 for source in ends}
    unread = {source: start for source, start in starts.items() if start < ends[source]}
    if not unread:
        return behind, None
    reader = log.reader(unread)
    try:
        counted, oldest = _counted(reader, {source: ends[source] for source in unread})
    finally:
        reader.close()
    for source, count in counted.items():
        behind[source[0]] += count
    return behind, oldest


def _counted(
    reader: Reader, ends: Mapping[TopicPartition, int]
) -> tuple[dict[TopicPartition, int], int | None]:
    """What lies between the reader's positions and ``ends``; when the oldest was appended."""
    counted = dict.fromkeys(ends, 0)
    open_sources = set(ends)
    oldest: int | None = None
    deadline = time.monotonic() + READ_S_MAX
    left = RECORDS_MAX
    while open_sources and left > 0 and (patience := deadline - time.monotonic()) > 0:
        records = reader.poll(min(patience, 0.1), left)
        left -= len(records)
        for record in records:
            if record.offset < ends[record.source] and not is_control(record):
                counted[record.source] += 1
                oldest = min(oldest or record.timestamp, record.timestamp)
        reached = reader.positions()
        open_sources = {source for source in open_sources if reached[source] < ends[source]}
    if oldest is not None:  # else what is left are markers, or is yet to come
        for source in open_sources:
            counted[source] += ends[source] - reader.positions()[source]
    return counted, oldest


def _standing(connection: Connection) -> tuple[Build, Places, bool]:
    builds.install(connection)
    live = builds.live_build(connection)
    if live is None:
        raise ProjectionNotReady("there are no projections yet: the projector has not built any")
    followed = builds.followers(connection, live.build) > 0
    return live, builds.places(connection, live.schema), followed
