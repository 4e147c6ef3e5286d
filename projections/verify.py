"""Does a build hold what the log says? Three questions, from the cheapest to the surest.

``check_counts``: as many events of each partition as its position, none missing in between.
``differing_rows``: rows of two builds that differ though they come from the same events (their
``sequence`` is the same), at any moment, while both are followed.
``verify``: every row and every line of the history against a fresh fold of the log up to the
build's own positions, the hash chain of the log, and the checksum of each table. It reads from one
snapshot, so it may run while the build is followed.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence

import msgspec

from events.log.contract import Log, TopicPartition
from events.log.records import Codec
from projections import aside, builds
from projections.builds import Build, Places
from projections.connection import Connection, connect
from projections.failures import ProjectionDiffers, ProjectionError, ProjectionNotReady
from projections.fold import Fold, Folded, Key, Read
from projections.history import COLUMNS, history_line
from projections.model import ReadModel, read_model
from projections.rendering import array, render
from projections.writer import stored_id

RECORDS_MAX = 5000
ROWS_MAX = 2000
QUIET_S_MAX = 30.0


class TableVerified(msgspec.Struct, frozen=True):
    """A table: its rows, its checksum (of all rows, whatever their order), and the ids of rows
    that are missing, too many or different, at most ``ROWS_MAX`` of them."""

    table: str
    rows: int
    checksum: str
    differing: list[str]


class Verified(msgspec.Struct, frozen=True):
    """What ``verify`` found. ``equal``: everything is as the log says."""

    build: int
    version: str
    events: int
    tables: list[TableVerified]
    set_aside: list[str] = []
    """Aggregates whose rows could not be made, and why: they are not compared."""
    broken: list[str] = []
    """Partitions of which a record cannot be taken, and why: what follows it is not compared."""

    @property
    def equal(self) -> bool:
        """No row differs, and none is left out."""
        differs = any(table.differing for table in self.tables)
        return not (differs or self.set_aside or self.broken)


def check_counts(control: Connection, build: Build) -> None:
    """Raises ``ProjectionDiffers`` unless ``history`` is complete up to the positions."""
    with control.cursor() as cursor:
        cursor.execute(
            f"""SELECT p.topic, p.partition, p.position, count(h.position), max(h.position)
            FROM {build.schema}.positions p LEFT JOIN {build.schema}.history h
            ON h.domain = split_part(p.topic, '.', 1) AND h.partition = p.partition
            GROUP BY 1, 2, 3 HAVING p.position <> count(h.position)
            OR p.position <> coalesce(max(h.position), 0)"""
        )
        for topic, partition, position, count, last in cursor.fetchall():
            raise ProjectionDiffers(
                f"build {build.build} is at position {position} of {topic}/{partition} but holds"
                f" {count} events, the last of them {last}: rebuild again"
            )


def differing_rows(control: Connection, table: str, one: Build, other: Build) -> int:
    """How many aggregates have another row of ``table`` in ``other`` than in ``one`` after the
    same number of events."""
    with control.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM {one.schema}.{table} a JOIN {other.schema}.{table} b"
            " USING (id) WHERE a.sequence = b.sequence AND a::text <> b::text"
        )
        (count,) = cursor.fetchone() or (0,)
    return int(count)


def checksum(control: Connection, schema: str, table: str) -> tuple[int, str]:
    """Rows and checksum of a table; equal for the same rows in any order."""
    with control.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text"
            f" FROM {schema}.{table} t"
        )
        rows, total = cursor.fetchone() or (0, "0")
    return rows, total


def verify(
    log: Log,
    database_url: str,
    progress: Callable[[int], None] = lambda events: None,
    *,
    model: ReadModel | None = None,
    codec: Codec | None = None,
) -> Verified:
    """Compare the live build, as it is at this moment, with a fresh fold of the log.

    ``progress(events)``: how many have been folded. Memory: the aggregates of one partition.
    Raises ``ProjectionNotReady``, ``ProjectionDiffers`` (events missing), ``LogError``.
    """
    model, codec = model or read_model(), codec or Codec()
    control = connect(database_url, "verify")
    try:
        builds.install(control)
        with control.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        live = builds.live_build(control)
        if live is None or live.version != model.version():
            raise ProjectionNotReady("there is no live projection of this version to verify")
        check_counts(control, live)
        found = _Verification(log, control, live, model, codec, progress).run()
        builds.rollback(control)
        if builds.live_build(control) != live:
            raise ProjectionError("another build became live meanwhile: verify again")
        return found
    finally:
        control.close()


class _Verification:
    def __init__(
        self,
        log: Log,
        control: Connection,
        build: Build,
        model: ReadModel,
        codec: Codec,
        progress: Callable[[int], None],
    ) -> None:
        self._log = log
        self._control = control
        self._build = build
        self._model = model
        self._codec = codec
        self._progress = progress
        self._events = 0
        self._broken: list[str] = []
        self._expected = {p.table.name: 0 for p in model.projected.values()}
        self._differing: dict[str, list[str]] = {
            table: [] for table in (*self._expected, "history")
        }
        with control.cursor() as cursor:
            cursor.execute(f"SET LOCAL search_path TO {build.schema}")

    def run(self) -> Verified:
        schema = self._build.schema
        notes = aside.notes(self._control, schema)
        self._aside = {(note.aggregate, stored_id(note.id)) for note in notes}
        for one in aside.waiting(self._control, schema):
            self._broken.append(one.error)
        for source, place in sorted(builds.places(self._control, schema).items()):
            if place.position:
                self._compare(self._folded(source, place.offset))
        return Verified(
            build=self._build.build,
            version=self._build.version,
            events=self._events,
            tables=[self._table(str(table.name)) for table in self._model.tables],
            set_aside=[f"{n.aggregate}/{n.id}: {n.event}: {n.error}" for n in notes],
            broken=self._broken,
        )

    def _table(self, table: str) -> TableVerified:
        rows, total = checksum(self._control, self._build.schema, table)
        differing = self._differing.get(table, [])
        left_out = self._broken or self._aside
        if rows != self._expected.get(table, rows) and not differing and not left_out:
            differing = [f"{rows - self._expected[table]} rows too many"]
        return TableVerified(table, rows, total, differing[:ROWS_MAX])

    def _folded(self, source: TopicPartition, end: int) -> dict[Key, Folded]:
        """Every aggregate of one partition, from its events before ``end``, and the history of
        them compared on the way."""
        fold = Fold(self._model, self._codec, 0, self._aside)
        places: Places = {source: builds.Place()}
        states: dict[Key, Folded] = {}
        reader = self._log.reader({source: 0})
        try:
            while (at := reader.positions()[source]) < end:
                found = reader.poll(QUIET_S_MAX, RECORDS_MAX)
                if not found and reader.positions()[source] == at:
                    raise ProjectionDiffers(
                        f"{source[0]}/{source[1]} holds no event up to offset {end}, which the"
                        " projection has read: the log has lost records"
                    )
                records = [record for record in found if record.offset < end]
                reading = fold.read(records, places)
                self._compare_history(reading.reads)
                batch = fold.fold(reading.reads, states, reading.reached)
                states.update(batch.touched)
                for key, note in batch.aside.items():
                    if key not in self._aside:
                        self._failed(key, note.error)
                fold.keep(batch)
                places.update(batch.reached)
                self._events += len(reading.reads)
                self._progress(self._events)
                if reading.broken:
                    self._broken.append(str(reading.broken[source]))
                    break
        finally:
            reader.close()
        return {key: states[key] for key in states if key not in fold.aside}

    def _compare_history(self, reads: Sequence[Read]) -> None:
        """The lines of the history against what COPY gives back. Columns may be shortened, body
        and headers never."""
        if not reads:
            return
        first, last = reads[0], reads[-1]
        domain = first.record.topic.partition(".")[0]
        found = io.StringIO()
        with self._control.cursor() as cursor:
            cursor.copy_expert(
                f"COPY (SELECT {COLUMNS} FROM history WHERE domain = '{domain}'"
                f" AND partition = {first.record.partition} AND position"
                f" BETWEEN {first.stamp.position} AND {last.stamp.position}"
                " ORDER BY position) TO STDOUT",
                found,
            )
        differing = self._differing["history"]
        for one, line in zip(reads, found.getvalue().split("\n"), strict=False):
            if line in (one.line, history_line(one.record, one.event, one.stamp, shortened=True)):
                continue
            differing.append(f"{domain}/{one.record.partition} position {one.stamp.position}")

    def _failed(self, key: Key, error: str) -> None:
        table = str(self._model.projected[key[0]].table.name)
        self._differing[table].append(f"{key[1]} cannot be made: {error}")

    def _compare(self, states: dict[Key, Folded]) -> None:
        for part in _slices(states):
            rendered = render(self._model, part)
            for key, error in rendered.failed.items():
                self._failed(key, error)
            for table, expected in rendered.rows.items():
                self._expected[table] += len(expected)
                self._differing[table] += self._unequal(table, array(expected))
            for table, ids in rendered.gone.items():
                with self._control.cursor() as cursor:
                    gone = [stored_id(id) for id in ids]
                    cursor.execute(f"SELECT id FROM {table} WHERE id = ANY(%s)", (gone,))
                    self._differing[table] += [id for (id,) in cursor.fetchall()]

    def _unequal(self, table: str, expected: str) -> list[str]:
        with self._control.cursor() as cursor:
            cursor.execute(
                f"SELECT e.id FROM json_populate_recordset(NULL::{table}, %s) e"
                f" LEFT JOIN {table} t ON t.id = e.id"
                " WHERE t.id IS NULL OR e::text <> t::text ORDER BY 1",
                (expected,),
            )
            return [id for (id,) in cursor.fetchall()]


def _slices(states: dict[Key, Folded]) -> Iterator[dict[Key, Folded]]:
    items = list(states.items())
    for n in range(0, len(items), ROWS_MAX):
        yield dict(items[n : n + ROWS_MAX])
