"""One build's way along the log: read some partitions, fold, write, batch by batch.

Every batch moves the positions in the transaction that writes the rows, and only if they are
where this follower left them. So after a crash, or an answer that never came, ``open`` simply
begins where the tables are: nothing is projected twice and nothing is left out.

What the tables say about the log is checked when it opens: made from this log, and not ahead of
it. A build that is behind catches up.

No single record ends it. A batch that cannot be written is halved down to the event that is the
cause, and what that changes is set aside; a partition whose next record cannot be taken waits at it
and is tried again every ``retry_s`` (``projections.aside`` tells of both).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import structlog

from events import topics
from events.log.contract import LATEST, Log, Reader, Record, TopicPartition
from events.log.records import Codec
from projections import aside
from projections.builds import Build, Places, places
from projections.connection import Connection, connect, is_about_rows
from projections.failures import (
    BrokenPartition,
    ProjectionAhead,
    ProjectorFenced,
    WrongLog,
)
from projections.fold import Batch, Fold, Key, Read
from projections.isolating import isolated
from projections.model import ReadModel
from projections.table import Followed
from projections.waits import Waits
from projections.writer import Writer

FOLLOWED_S = 60
"""Of a followed topic the last minute is read again at the start: an upsert twice is one."""

SESSION_IDLE_S = 20
"""A stopped process must not hold its build for ever: Postgres ends its session after this."""

BATCH_BYTES_MAX = 4 << 20
"""Of records in one transaction; one record alone may be larger."""

RETRY_S = 10.0

LOOK_S = 1.0
"""How often a follower without batches sees whether its build is still live."""

logger = structlog.get_logger("projector")


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
    beside the events. ``factory``: the class of the Postgres connection. ``committed(batch)`` is
    called after each batch.
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
        retry_s: float = RETRY_S,
        committed: Callable[[Batch], None] | None = None,
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
        self._retry_s = retry_s
        self._committed = committed
        self._waits: Waits | None = None
        self._looked_at = time.monotonic()
        self._writer = Writer(model)
        self._connection: Connection | None = None
        self._reader: Reader | None = None

    @property
    def waiting(self) -> Mapping[TopicPartition, BrokenPartition]:
        """The partitions whose next record could not be taken, and why; also when closed."""
        return self._waits.current if self._waits is not None else {}

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
        self._fold = Fold(self._model, self._codec, self._states_max, self._set_aside())
        start = {source: place.offset for source, place in self.places.items()}
        self._reader = self._log.reader({**start, **self._followed_start()})
        self._check_ends(self._reader)
        self._waits = Waits(
            self.connection,
            self.build.schema,
            self.places,
            self._log,
            self._reader,
            self._retry_s,
        )

    def step(self, timeout_s: float) -> int:
        """Project what there is, or comes within ``timeout_s``; how many records of events there
        were, those of partitions that wait included."""
        if self._reader is None or self._waits is None:
            raise RuntimeError("the follower is not open")
        self._waits.try_again()
        records = self._reader.poll(timeout_s, self.records_max)
        self._look()
        events = [record for record in records if record.source in self.places]
        if events:
            self._project(events, self._waits)
        if len(events) < len(records):
            self._upsert([record for record in records if record.topic in self._followed])
        return len(events)

    def behind(self) -> bool:
        """Whether the log holds events that are not read yet."""
        if self._reader is None:
            return True
        positions, ends = self._reader.positions(), self._reader.ends()
        return any(positions[source] < ends[source] for source in self.places)

    def holds(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether the tables have all that lies before these offsets."""
        if self._reader is None or self.waiting:
            return False
        positions = self._reader.positions()
        return all(positions[source] >= end for source, end in ends.items())

    def at_end(self, source: TopicPartition, offset: int) -> bool:
        """Whether the log ends before ``offset``, and all of the partition is projected."""
        if self._reader is None or source in self.waiting:
            return False
        end = self._reader.ends()[source]
        return end < offset and self._reader.positions()[source] >= end

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

    def _project(self, records: Sequence[Record], waits: Waits) -> None:
        for piece in _pieces(records):
            wanted = [record for record in piece if record.source not in waits.current]
            reading = self._fold.read(wanted, self.places)
            if reading.reached:
                self._write(reading.reads, reading.reached)
            for source, error in reading.broken.items():
                waits.begin(source, error)
        waits.forget_passed()
        self.newest = max(record.timestamp for record in records)

    def _write(self, reads: Sequence[Read], reached: Places) -> None:
        """Write these events. Where that fails for what is in them, halve them; what one event
        alone cannot write is set aside."""
        if self._written(reads, reached):
            return
        if len(reads) == 1:
            batch = isolated(self._fold, self._writer, self.connection, reads[0], reached)
            self._writer.write(self.connection, self.build.build, self.places, batch, self._live)
            self._take(batch)
            return
        half = reads[: len(reads) // 2]
        self._write(half, {one.record.source: one.after for one in half})
        self._write(reads[len(half) :], reached)

    def _written(self, reads: Sequence[Read], reached: Places) -> bool:
        try:
            loaded = self._writer.load(self.connection, self._fold.needs(reads))
            batch = self._fold.fold(reads, loaded, reached)
            self._writer.write(self.connection, self.build.build, self.places, batch, self._live)
        except Exception as error:
            if not reads or not is_about_rows(error):
                raise
            self._writer.recover(self.connection)
            return False
        self._looked_at = time.monotonic()
        self._take(batch)
        return True

    def _take(self, batch: Batch) -> None:
        """The batch is committed."""
        self._fold.keep(batch)
        self.places.update(batch.reached)
        if self._committed is not None:
            self._committed(batch)
        for note in batch.aside.values():
            if note.error:
                name = f"{note.aggregate}/{note.id}"[:200]
                logger.error("set_aside", subject=name, cause=note.event, reason=note.error)

    def _set_aside(self) -> list[Key]:
        found = aside.notes(self.connection, self.build.schema)
        return [(note.aggregate, note.id) for note in found]

    def _upsert(self, records: Sequence[Record]) -> None:
        for topic, followed in self._followed.items():
            mine = [record for record in records if record.topic == topic]
            if mine and not self._followed_rows(followed, mine):
                for record in mine:
                    self._followed_rows(followed, [record])

    def _followed_rows(self, followed: Followed, records: Sequence[Record]) -> bool:
        """Keep a table beside the events; whether that could be done. A single record that cannot
        be written is passed over: the next one of its key replaces it anyway."""
        try:
            if rows := followed.rows(records):
                self._writer.follow(self.connection, followed.table.name, rows)
        except Exception as error:
            if not is_about_rows(error):
                raise
            self._writer.recover(self.connection)
            if len(records) == 1:
                name = f"{records[0].topic}/{records[0].partition}@{records[0].offset}"
                logger.warning("record_passed_over", record=name, reason=aside.reason(error))
            return False
        return True

    def _look(self) -> None:
        """See now and then that the tables are still this build's: a batch would show it, but there
        may be none for long. Keeps the session alive, too. Raises ``ProjectorFenced``."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_S:
            return
        self._looked_at = now
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT FROM positions WHERE build = {self.build.build} LIMIT 1")
            if cursor.fetchone() is None:
                raise ProjectorFenced(f"build {self.build.build} is not the live one any more")

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
                    " records, or was restored from an older copy; restore the newer one, or run"
                    " `chronova projection rebuild` to have the tables as this log says"
                )


def _pieces(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Records in runs of at most ``BATCH_BYTES_MAX``."""
    start, size = 0, 0
    for n, record in enumerate(records):
        size += len(record.value)
        if size > BATCH_BYTES_MAX and n > start:
            yield records[start:n]
            start, size = n, len(record.value)
    yield records[start:]
