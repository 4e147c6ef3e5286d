"""One build's way along the log: read some partitions, fold, write, batch by batch.

Every batch moves the positions in the transaction that writes the rows, and only if they are
where this follower left them. So after a crash, or an answer that never came, ``open`` simply
begins where the tables are: nothing is projected twice and nothing is left out.

What the tables say about the log is checked when it opens: made from this log, and not ahead of
it. A build that is behind catches up.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from events import topics
from events.log.contract import LATEST, Log, Reader, Record, TopicPartition
from events.log.records import Codec
from projections.builds import Build, Places, places
from projections.connection import Connection, connect
from projections.failures import ProjectionAhead, ProjectorFenced, WrongLog
from projections.fold import Fold
from projections.model import ReadModel
from projections.writer import Writer

FOLLOWED_S = 60
"""Of a followed topic the last minute is read again at the start: an upsert twice is one."""

SESSION_IDLE_S = 20
"""A stopped process must not hold its build for ever: Postgres ends its session after this."""


def event_sources(log: Log, model: ReadModel) -> list[TopicPartition]:
    """All partitions of all events. Raises ``TopicMismatch`` when a topic is missing."""
    return [
        (topic, partition)
        for topic in map(topics.events, model.domains)
        for partition in range(log.partitions(topic))
    ]


class Follower:
    """Follows ``sources`` for ``build``. One thread's, except ``wake``.

    ``live``: announce each batch (only for the live build). ``followed``: also keep the tables
    beside the events. ``factory``: the class of the Postgres connection.
    """

    def __init__(
        self,
        log: Log,
        database_url: str,
        build: Build,
        sources: Iterable[TopicPartition],
        model: ReadModel,
        *,
        codec: Codec | None = None,
        live: bool = False,
        followed: bool = False,
        records_max: int = 1000,
        states_max: int = 5000,
        factory: type[Connection] | None = None,
    ) -> None:
        self.build = build
        self.places: Places = {}
        self.newest = 0
        """When the newest projected event was appended, microseconds since 1970."""
        self._log = log
        self._url = database_url
        self.sources = list(sources)
        self._model = model
        self._codec = codec or Codec()
        self._live = live
        self._followed = model.followed if followed else {}
        self.records_max = records_max
        self._states_max = states_max
        self._factory = factory
        self._writer = Writer(model)
        self._connection: Connection | None = None
        self._reader: Reader | None = None

    @property
    def connection(self) -> Connection:
        """The connection of an open follower."""
        if self._connection is None:
            raise RuntimeError("the follower is not open")
        return self._connection

    def connect(self) -> Connection:
        """Connect, if it is not yet; ``open`` does so too."""
        if self._connection is None:
            settings = {
                "search_path": self.build.schema,
                "idle_session_timeout": f"{SESSION_IDLE_S}s",
                "jit": "off",
                # All look-ups are by key. A plan made while a table was still empty must not
                # read it whole when it is large.
                "plan_cache_mode": "force_generic_plan",
                "enable_seqscan": "off",
                "enable_hashjoin": "off",
                "enable_mergejoin": "off",
                # What a crash of Postgres may undo, position and rows together, is projected again.
                "synchronous_commit": "off",
            }
            self._connection = connect(self._url, "projector", settings, self._factory)
            self._writer.new_session()
        return self._connection

    def open(self) -> None:
        """Begin, or begin again, where the tables are. Raises ``WrongLog``,
        ``ProjectionAhead``, ``ProjectorFenced``, ``LogUnavailable`` or what ``GONE`` names."""
        if (identity := self._log.identity()) != self.build.log:
            raise WrongLog(
                f"the projection was made from the log {self.build.log}, this is {identity}:"
                " point it at its own log, or rebuild it in another database"
            )
        known = places(self.connect(), self.build.schema)
        if any(source not in known for source in self.sources):
            raise ProjectorFenced(f"build {self.build.build} does not have the log's partitions")
        self.places = {source: known[source] for source in self.sources}
        self._fold = Fold(self._model, self._codec, self._states_max)
        start = {source: place.offset for source, place in self.places.items()}
        self._reader = self._log.reader({**start, **self._followed_start()})
        self._check_ends(self._reader)

    def step(self, timeout_s: float) -> int:
        """Project what there is, or comes within ``timeout_s``; how many events it was."""
        if self._reader is None:
            raise RuntimeError("the follower is not open")
        records = self._reader.poll(timeout_s, self.records_max)
        if not records:
            self._keep_alive()
            return 0
        events = [record for record in records if record.source in self.places]
        if events:
            self._project(events)
        if len(events) < len(records):
            self._upsert([record for record in records if record.topic in self._followed])
        return len(events)

    def behind(self) -> bool:
        """Whether the log holds events that are not projected yet."""
        if self._reader is None:
            return True
        positions, ends = self._reader.positions(), self._reader.ends()
        return any(positions[source] < ends[source] for source in self.places)

    def ends(self) -> dict[TopicPartition, int]:
        """The log's end offset of each partition that is followed."""
        return dict(self._reader.ends()) if self._reader is not None else {}

    def wake(self) -> None:
        """From any thread: let a waiting ``step`` return now."""
        reader = self._reader
        if reader is not None:
            reader.wake()

    def close(self) -> None:
        """Release reader and connection. May be opened again."""
        reader, self._reader = self._reader, None
        connection, self._connection = self._connection, None
        if reader is not None:
            reader.close()
        if connection is not None:
            connection.close()

    def _project(self, records: Sequence[Record]) -> None:
        reads = self._fold.read(records, self.places)
        loaded = self._writer.load(self.connection, self._fold.needs(reads))
        batch = self._fold.fold(reads, loaded)
        self._writer.write(self.connection, self.build.build, self.places, batch, self._live)
        self._fold.keep(batch)
        self.places.update(batch.reached)
        self.newest = max(record.timestamp for record in records)

    def _upsert(self, records: Sequence[Record]) -> None:
        for topic, followed in self._followed.items():
            rows = followed.rows([record for record in records if record.topic == topic])
            if rows:
                self._writer.follow(self.connection, followed.table.name, rows)

    def _keep_alive(self) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    def _followed_start(self) -> dict[TopicPartition, int]:
        since = (time.time_ns() // 1000) - FOLLOWED_S * 1_000_000
        start = {}
        for topic in self._followed:
            for partition in range(self._log.partitions(topic)):
                source = (topic, partition)
                offset = self._log.offset_at(source, since)
                start[source] = LATEST if offset is None else offset
        return start

    def _check_ends(self, reader: Reader) -> None:
        ends = reader.ends()
        for source, place in self.places.items():
            if place.offset > ends[source]:
                raise ProjectionAhead(
                    f"the projection has read {source[0]}/{source[1]} up to offset"
                    f" {place.offset}, but the log ends at {ends[source]}: the log has lost"
                    " records, or was restored from an older copy; restore it, or rebuild"
                )
