"""Does a build hold what the log says? Three questions, from the cheapest to the surest.

``check_counts``: as many events of each partition as its position, none missing in between.
``differing_rows``: rows of two builds that differ though they come from the same events (their
``sequence`` is the same), at any moment, while both are followed.
``verify``: every row against a fresh fold of the log up to the build's own positions, and the
checksum of each table. It reads from one snapshot, so it may run while the build is followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from events.log.contract import Log, TopicPartition
from events.log.records import Codec
from projections import builds
from projections.builds import Build, Places
from projections.connection import Connection, connect
from projections.failures import ProjectionDiffers, ProjectionError, ProjectionNotReady
from projections.fold import Fold, Folded, Key
from projections.model import ReadModel, read_model
from projections.writer import Writer, as_json

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

    @property
    def equal(self) -> bool:
        """No row differs."""
        return not any(table.differing for table in self.tables)


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
        self._writer = Writer(model)
        self._events = 0
        self._expected = {p.table.name: 0 for p in model.projected.values()}
        self._differing: dict[str, list[str]] = {table: [] for table in self._expected}
        with control.cursor() as cursor:
            cursor.execute(f"SET LOCAL search_path TO {build.schema}")

    def run(self) -> Verified:
        for source, place in sorted(builds.places(self._control, self._build.schema).items()):
            if place.position:
                self._compare(self._folded(source, place.offset))
        tables = [self._table(str(table.name)) for table in self._model.tables]
        return Verified(self._build.build, self._build.version, self._events, tables)

    def _table(self, table: str) -> TableVerified:
        rows, total = checksum(self._control, self._build.schema, table)
        differing = self._differing.get(table, [])
        if rows != self._expected.get(table, rows) and not differing:
            differing = [f"{rows - self._expected[table]} rows too many"]
        return TableVerified(table, rows, total, differing[:ROWS_MAX])

    def _folded(self, source: TopicPartition, end: int) -> dict[Key, Folded]:
        """Every aggregate of one partition, from its events before ``end``."""
        fold = Fold(self._model, self._codec, 0)
        places: Places = {source: builds.Place(0, 0)}
        states: dict[Key, Folded] = {}
        reader = self._log.reader({source: 0})
        try:
            while reader.positions()[source] < end:
                found = reader.poll(QUIET_S_MAX, RECORDS_MAX)
                if not found and reader.positions()[source] < end:
                    raise ProjectionDiffers(
                        f"{source[0]}/{source[1]} holds no event up to offset {end}, which the"
                        " projection has read: the log has lost records"
                    )
                records = [record for record in found if record.offset < end]
                batch = fold.fold(fold.read(records, places), states)
                states.update(batch.touched)
                places.update(batch.reached)
                self._events += len(records)
                self._progress(self._events)
        finally:
            reader.close()
        return states

    def _compare(self, states: dict[Key, Folded]) -> None:
        for part in _slices(states):
            rows, gone = self._writer.rows(part)
            for table, expected in rows.items():
                self._expected[table] += len(expected)
                self._differing[table] += self._unequal(table, as_json(expected))
            for table, ids in gone.items():
                with self._control.cursor() as cursor:
                    cursor.execute(f"SELECT id FROM {table} WHERE id = ANY(%s)", (ids,))
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
