"""Builds: complete sets of tables, each in a Postgres schema of its own, one of them live.

``chronova.projections`` has a row for each. A build lies in the schema ``projection_<n>``; the
live one is renamed to ``projection_live``, and that is the switch: renaming schemas is one atomic
step that waits for no reader and makes none wait. Readers name no build and check none: each of
their statements finds the tables that are live when it begins.

Writers do not rely on the name: the build's number is in its ``positions`` rows, which every
batch has to move. ``switch`` holds those rows of the old build, so that its projector stands
still, and closes them; so no position that was ever announced is ahead of the live tables.

All functions take a connection in autocommit mode (``connection.connect``). A crash halfway
through any of them leaves everything as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import msgspec
from psycopg2.errors import LockNotAvailable
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from events.log.chain import Link
from events.log.contract import TopicPartition
from events.log.records import GENESIS
from projections.connection import Connection
from projections.failures import BuildUnderWay, ProjectionError, ProjectorFenced
from projections.model import ReadModel

LIVE_SCHEMA = "projection_live"
CHANNEL = "chronova_projection"
CHOOSING_S_MAX = 30.0
LOCK_CLASS = 0x50524F4A  # "PROJ"; the second half of the key is the build's number
ROW_BYTES = 8160
"""Rows up to a page are stored as they are. Postgres would compress those above 2 KB, as most
servers' are: a third of the 80 µs that a row takes to write (measured), and again at each read."""
INDEX_MEMORY = "64MB"
"""To sort an index's entries in; what is more goes to disk."""
DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]

_INSTALL = f"""
BEGIN;
SELECT pg_advisory_xact_lock({LOCK_CLASS}, 0);
CREATE SCHEMA IF NOT EXISTS chronova;
CREATE TABLE IF NOT EXISTS chronova.projections (
    build integer PRIMARY KEY,
    schema text NOT NULL UNIQUE,
    version text NOT NULL,
    log text NOT NULL,
    state text NOT NULL CHECK (state IN ('building', 'live', 'old')),
    created_at timestamptz NOT NULL DEFAULT now(),
    switched_at timestamptz
);
CREATE UNIQUE INDEX IF NOT EXISTS one_live ON chronova.projections (state) WHERE state = 'live';
COMMIT
"""
_COLUMNS = """build, schema, version, log, state,
    extract(epoch FROM created_at)::float8, extract(epoch FROM switched_at)::float8"""


class Build(msgspec.Struct, frozen=True):
    """A build. ``state``: building, live or old. ``log``: the identity of the log it was made
    from. Times are seconds since 1970."""

    build: int
    schema: str
    version: str
    log: str
    state: str
    created_at: float
    switched_at: float | None


class Place(Link, frozen=True):
    """How far one partition is in a build. ``revision`` is raised by whoever else than the follower
    changes rows that come from it (``heal``): the follower then opens again."""

    revision: int = 0


Places = dict[TopicPartition, Place]


def install(connection: Connection) -> None:
    """Make the table of builds if it is missing; any number of processes may do so at once."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('chronova.projections')")
        if cursor.fetchone() == (None,):
            cursor.execute(_INSTALL)


def builds(connection: Connection) -> list[Build]:
    """All builds, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM chronova.projections ORDER BY build")
        return [Build(*row) for row in cursor.fetchall()]


def live_build(connection: Connection) -> Build | None:
    """The live build, if there is one."""
    return next((b for b in builds(connection) if b.state == "live"), None)


@contextmanager
def choosing(connection: Connection) -> Iterator[None]:
    """Meanwhile nobody else chooses a build to make: of several that begin at once only one
    finds that there is none. Raises ``BuildUnderWay`` when others take too long over it."""
    if not hold(connection, 0, CHOOSING_S_MAX):
        raise BuildUnderWay("another process is choosing the projection's build")
    try:
        yield
    finally:
        release(connection, 0)


def create(
    connection: Connection, model: ReadModel, log: str, sources: Iterable[TopicPartition]
) -> Build:
    """A new, empty build with the model's tables; their ``indexes`` come later. To be called
    while ``choosing``."""
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            cursor.execute("SELECT coalesce(max(build), 0) + 1 FROM chronova.projections")
            (number,) = cursor.fetchone() or (1,)
            schema = f"projection_{number}"
            statements = [f"DROP SCHEMA IF EXISTS {schema} CASCADE", f"CREATE SCHEMA {schema}"]
            statements.append(f"SET LOCAL search_path TO {schema}")
            for table in model.tables:
                statements.append(str(CreateTable(table).compile(dialect=DIALECT)))
                statements.append(
                    f"ALTER TABLE {table.name} SET (toast_tuple_target = {ROW_BYTES})"
                )
            cursor.execute(";".join(statements))
            for topic, partition in sources:
                cursor.execute(
                    "INSERT INTO positions VALUES (%s, %s, %s, 0, 0, NULL, %s, 0)",
                    (topic, partition, number, GENESIS),
                )
            cursor.execute(
                "INSERT INTO chronova.projections (build, schema, version, log, state)"
                " VALUES (%s, %s, %s, %s, 'building'); COMMIT",
                (number, schema, model.version(), log),
            )
        except BaseException:
            if not connection.closed:
                cursor.execute("ROLLBACK")
            raise
    return next(b for b in builds(connection) if b.build == number)


def indexes(model: ReadModel, build: Build) -> list[str]:
    """The statements that give a build its indexes, the longest first: they cost less when most
    rows are there already. Repeatable, each for itself."""
    tables = sorted(model.tables, key=lambda table: table.name != "history")
    made = []
    for table in tables:
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            statement = CreateIndex(index, if_not_exists=True).compile(dialect=DIALECT)
            made.append(
                f"BEGIN; SET LOCAL search_path TO {build.schema};"
                f" SET LOCAL maintenance_work_mem TO '{INDEX_MEMORY}'; {statement}; COMMIT"
            )
    return made


def drop(connection: Connection, build: Build) -> None:
    """Forget a build that is not live. Raises ``ProjectionError`` if it is."""
    with connection.cursor() as cursor:
        cursor.execute(
            "BEGIN; DELETE FROM chronova.projections WHERE build = %s AND state <> 'live'"
            " RETURNING schema",
            (build.build,),
        )
        row = cursor.fetchone()
        if row is None:
            cursor.execute("ROLLBACK")
            raise ProjectionError(f"build {build.build} is live or gone: it cannot be dropped")
        cursor.execute(f"DROP SCHEMA IF EXISTS {row[0]} CASCADE; COMMIT")


def places(connection: Connection, schema: str) -> Places:
    """How far the build in ``schema`` is."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT topic, partition, row_to_json(p)::text FROM {schema}.positions p")
        return _places(cursor.fetchall())


def hold(connection: Connection, build: int, timeout_s: float) -> bool:
    """Become the one who follows ``build``, for as long as the connection lives; False when
    another one still is after ``timeout_s``."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_try_advisory_lock({LOCK_CLASS}, {build})")
        if cursor.fetchone() == (True,):
            return True
        cursor.execute(f"SET lock_timeout = {max(1, int(timeout_s * 1000))}")
        try:
            cursor.execute(f"SELECT pg_advisory_lock({LOCK_CLASS}, {build})")
        except LockNotAvailable:
            return False
        finally:
            if not connection.closed:
                cursor.execute("SET lock_timeout = 0")
    return True


def followers(connection: Connection, build: int, *, granted: bool = True) -> int:
    """How many sessions follow ``build``; ``granted`` False: how many wait for their turn."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
            f" AND {'' if granted else 'NOT '}granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            f" AND classid = {LOCK_CLASS} AND objid = {build}"
        )
        (count,) = cursor.fetchone() or (0,)
    return int(count)


def release(connection: Connection, build: int) -> None:
    """Let another one follow ``build``."""
    if connection.closed:
        return
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_unlock({LOCK_CLASS}, {build})")


def begin(connection: Connection) -> None:
    """Begin a transaction; what ``freeze`` does where there is a live build."""
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")


def freeze(connection: Connection, build: Build) -> Places:
    """Begin a transaction in which ``build`` stands still; how far it is."""
    with connection.cursor() as cursor:
        cursor.execute(
            "BEGIN; SELECT topic, partition, row_to_json(p)::text"
            f" FROM {build.schema}.positions p ORDER BY topic, partition FOR UPDATE"
        )
        return _places(cursor.fetchall())


def _places(rows: Iterable[tuple[str, int, str]]) -> Places:
    """A build of another version may have more columns, or fewer."""
    return {(topic, part): msgspec.json.decode(text, type=Place) for topic, part, text in rows}


def switch(connection: Connection, old: Build | None, new: Build) -> None:
    """End the transaction that ``freeze`` or ``begin`` began: ``new`` is live, ``old`` is kept
    and closed. Raises ``ProjectorFenced`` when ``old`` is not live any more.
    """
    with connection.cursor() as cursor:
        if old is not None:
            cursor.execute(
                "UPDATE chronova.projections SET state = 'old', schema = %s"
                " WHERE build = %s AND state = 'live'",
                (f"projection_{old.build}", old.build),
            )
            if cursor.rowcount != 1:
                raise ProjectorFenced(f"build {old.build} is not the live one any more")
            cursor.execute(
                f"UPDATE {LIVE_SCHEMA}.positions SET build = 0;"
                f"ALTER SCHEMA {LIVE_SCHEMA} RENAME TO projection_{old.build}"
            )
        cursor.execute(
            "UPDATE chronova.projections SET state = 'live', schema = %s, switched_at = now()"
            " WHERE build = %s",
            (LIVE_SCHEMA, new.build),
        )
        announce = announcement(places(connection, new.schema))
        cursor.execute(f"ALTER SCHEMA {new.schema} RENAME TO {LIVE_SCHEMA};{announce};COMMIT")


def rollback(connection: Connection) -> None:
    """End a transaction with nothing done."""
    if not connection.closed:
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK")


def announcement(reached: Mapping[TopicPartition, Place]) -> str:
    """The statement that tells every ``PositionWaiter`` how far the live build is.

    Payload: ``compute.events/3:1234 fleet.events/0:99``; Postgres allows 8000 bytes in each.
    """
    words = [f"{topic}/{part}:{place.position}" for (topic, part), place in reached.items()]
    chunks = [" ".join(words[n : n + 100]) for n in range(0, len(words), 100)] or [""]
    calls = ", ".join(f"pg_notify('{CHANNEL}', '{chunk}')" for chunk in chunks)
    return f"SELECT {calls}"
