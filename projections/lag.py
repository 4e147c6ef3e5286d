"""How far the live tables are behind the log, and whether anybody keeps them level.

Offsets need not be dense, so what lies between a table's position and the log's end is read to be
counted: nothing but that, and not more than ``RECORDS_MAX`` records. One thread's; it holds a
connection and a reader open between measurements and makes them anew when they break.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from events.log.contract import LATEST, Log, LogError, Reader, TopicPartition
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
        self._reader: Reader | None = None

    def measure(self) -> Standing:
        """Now. Raises ``ProjectionNotReady``, ``LogError`` or what ``connection.GONE`` names."""
        try:
            return self._measured()
        except (LogError, *GONE):
            self.close()
            raise

    def close(self) -> None:
        """Release reader and connection; the next measurement makes new ones."""
        reader, self._reader = self._reader, None
        connection, self._connection = self._connection, None
        if reader is not None:
            reader.close()
        if connection is not None:
            connection.close()

    def _measured(self) -> Standing:
        if self._connection is None:
            self._connection = connect(self._url, "lag", {"statement_timeout": "5s"})
        if self._reader is None:
            sources = event_sources(self._log, self._model)
            self._reader = self._log.reader(dict.fromkeys(sources, LATEST))
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
        ends = {source: end for source, end in self._reader.ends().items() if source not in held}
        behind, oldest = _unread(self._reader, places, ends)
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
    reader: Reader, places: Places, ends: Mapping[TopicPartition, int]
) -> tuple[dict[str, int], int | None]:
    """By topic, what lies between ``places`` and ``ends``; when the oldest of it was appended."""
    counted = dict.fromkeys(ends, 0)
    open_sources = set()
    for source, end in ends.items():
        start = places[source].offset if source in places else 0
        reader.seek(source, min(start, end))
        if start < end:
            open_sources.add(source)
    oldest: int | None = None
    deadline = time.monotonic() + READ_S_MAX
    left = RECORDS_MAX
    while open_sources and left > 0 and (patience := deadline - time.monotonic()) > 0:
        records = reader.poll(min(patience, 0.1), left)
        left -= len(records)
        for record in records:
            if record.offset < ends.get(record.source, 0) and not is_control(record):
                counted[record.source] += 1
                oldest = min(oldest or record.timestamp, record.timestamp)
        reached = reader.positions()
        open_sources = {source for source in open_sources if reached[source] < ends[source]}
    if oldest is not None:  # else what is left are markers, or is yet to come
        for source in open_sources:
            counted[source] += ends[source] - reader.positions()[source]
    behind = dict.fromkeys((topic for topic, _ in ends), 0)
    for source, count in counted.items():
        behind[source[0]] += count
    return behind, oldest


def _standing(connection: Connection) -> tuple[Build, Places, bool]:
    builds.install(connection)
    live = builds.live_build(connection)
    if live is None:
        raise ProjectionNotReady("there are no projections yet: the projector has not built any")
    followed = builds.followers(connection, live.build) > 0
    return live, builds.places(connection, live.schema), followed
