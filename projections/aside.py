"""What a build could not take: set-aside aggregates and partitions that wait.

An aggregate is *set aside* when its row cannot be made or stored. Its row stays as it was or is
missing, everything else goes on, and later events only count up the note. A mended version heals
it: ``heal``, or a rebuild.

A partition *waits* when its next record cannot be read, or does not follow the one before it: what
the record is about is unknown. The other partitions go on; the record is tried again now and then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text

from events.log.contract import TopicPartition
from projections.connection import Connection

ERROR_CHARS_MAX = 500
ID_CHARS_MAX = 100
"""Of an id where aggregates are named: one that was set aside may be of any length."""

SET_ASIDE = Table(
    "set_aside",
    MetaData(),
    Column("name", Text, primary_key=True),
    Column("aggregate", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("event", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False),
)
"""``name``: hash of aggregate and id, for the id may be what no index can hold. ``event``: the one
that could not be taken. ``since``: when it was appended, microseconds since 1970. ``events``: how
many were not taken, it included."""

WAITING = Table(
    "waiting_partitions",
    MetaData(),
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("offset", BigInteger, nullable=False),
    Column("error", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
)


class Note(msgspec.Struct):
    """A row of ``set_aside``. ``error`` is empty where the aggregate was set aside before."""

    name: str
    aggregate: str
    id: str
    topic: str
    partition: int
    event: str
    error: str
    since: int
    events: int = 1


def name_of(aggregate: str, id: str) -> str:
    """Return the key of a note."""
    return hashlib.sha256(f"{aggregate}/{id}".encode(errors="surrogatepass")).hexdigest()


def reason(error: BaseException) -> str:
    """Return class and text of an error, on one line and not too long."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:ERROR_CHARS_MAX]


def notes(connection: Connection, schema: str) -> list[Note]:
    """Return what is set aside in the build in ``schema``, the oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, aggregate, id, topic, partition, event, error, since, events"
            f" FROM {schema}.set_aside ORDER BY since, name"
        )
        return [Note(*row) for row in cursor.fetchall()]


def count(connection: Connection, schema: str) -> int:
    """Return how many aggregates are set aside in the build in ``schema``."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {schema}.set_aside")
        (found,) = cursor.fetchone() or (0,)
    return int(found)


def first(connection: Connection, schema: str, named_max: int) -> list[str]:
    """Return ``aggregate/id`` of what is set aside in the build in ``schema``, the oldest first, at
    most ``named_max`` of them; ids are cut after ``ID_CHARS_MAX`` characters."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT aggregate, left(id, %s) FROM {schema}.set_aside ORDER BY since, name LIMIT %s",
            (ID_CHARS_MAX, named_max),
        )
        return [f"{aggregate}/{id}" for aggregate, id in cursor.fetchall()]


class Waiting(msgspec.Struct, frozen=True):
    """A row of ``waiting_partitions``: where the partition waits, why, since when."""

    topic: str
    partition: int
    offset: int
    error: str
    since: int

    @property
    def source(self) -> TopicPartition:
        """Topic and partition."""
        return (self.topic, self.partition)


def waiting(connection: Connection, schema: str) -> list[Waiting]:
    """Return the partitions of the build in ``schema`` that wait."""
    with connection.cursor() as cursor:
        cursor.execute(
            'SELECT topic, partition, "offset", error, since'
            f" FROM {schema}.waiting_partitions ORDER BY topic, partition"
        )
        return [Waiting(*row) for row in cursor.fetchall()]


def note_waiting(connection: Connection, schema: str, one: Waiting) -> None:
    """Write down that a partition waits."""
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO {schema}.waiting_partitions (topic, partition, "offset", error, since)'
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (topic, partition) DO UPDATE SET"
            ' "offset" = EXCLUDED."offset", error = EXCLUDED.error, since = CASE WHEN'
            ' waiting_partitions."offset" = EXCLUDED."offset" THEN waiting_partitions.since'
            " ELSE EXCLUDED.since END",
            msgspec.structs.astuple(one),
        )


def forget_waiting(connection: Connection, schema: str, sources: Sequence[TopicPartition]) -> None:
    """Write down that these partitions go on."""
    with connection.cursor() as cursor:
        for topic, partition in sources:
            cursor.execute(
                f"DELETE FROM {schema}.waiting_partitions WHERE topic = %s AND partition = %s",
                (topic, partition),
            )
