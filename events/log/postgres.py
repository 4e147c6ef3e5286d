"""The log on one Postgres: the embedded default, and enough for a small site for good.

A row per record. Every operation is one statement and one transaction (``postgres_schema`` says
how order, atomicity and fencing come about). Reading waits for notifications, not for time.

``append`` never repeats a statement whose outcome is unknown: connecting is retried within the
time given, a statement that was sent is not; its failure is ``LogUnavailable`` and the caller
decides. Needs psycopg2 and a direct connection (no pooler that shares sessions).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from events.log.contract import (
    EARLIEST,
    LATEST,
    Commit,
    Journal,
    Member,
    Outgoing,
    Reader,
    Topic,
    TopicMismatch,
    TopicPartition,
    partition_of,
)
from events.log.postgres_batch import Batch, Place, no_text
from events.log.postgres_connection import Pool, Row
from events.log.postgres_journal import begin_term, commit
from events.log.postgres_listener import Listener, Watch
from events.log.postgres_member import PostgresMember
from events.log.postgres_membership import Membership
from events.log.postgres_reader import Feed, PostgresReader
from events.log.postgres_writer import Writer

CLOSE_S = 5.0


class PostgresLog:
    """``contract.Log`` in the schema ``schema`` of the database at ``url``.

    ``statement_s``: how long any statement but an ``append`` may take. ``session_s``: after
    how long without a heartbeat a member loses its partitions. ``connections_max``: how many
    threads talk to the database at once.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str = "log",
        record_bytes_max: int = 1 << 20,
        statement_s: float = 10.0,
        session_s: float = 6.0,
        connections_max: int = 8,
    ) -> None:
        self.record_bytes_max = record_bytes_max
        self._schema = schema
        self._statement_s = statement_s
        self._session_s = session_s
        self._pool = Pool(url, schema, connections_max)
        self._listener = Listener(self._pool, schema, session_s)
        self._writer = Writer(self._pool, schema, self._listener, record_bytes_max)
        self._topics: dict[str, tuple[int, tuple[int, ...]]] = {}

    def identity(self) -> str:
        """See the contract: a UUID made with the schema."""
        return str(self._run(f"SELECT id::text FROM {self._schema}.cluster")[0][0])

    def create_topics(self, topics: Sequence[Topic]) -> Sequence[str]:
        """See the contract. ``ValueError`` for what no topic can be."""
        made = []
        for topic in topics:
            if topic.partitions < 1 or not topic.name or not _is_text(topic.name):
                raise ValueError(f"not a topic: {topic}")
            if topic.retention_ms is not None and topic.name.endswith(".events"):
                raise ValueError(f"{topic.name}: what happened is kept for ever")
            retention = "NULL" if topic.retention_ms is None else str(topic.retention_ms)
            was_made, partitions = self._run(
                f"SELECT * FROM {self._schema}.create_topic("
                f"{_literal(topic.name)}, {topic.partitions}, {retention})"
            )[0]
            if partitions != topic.partitions:
                raise TopicMismatch(
                    f"topic {topic.name} has {partitions} partitions, not {topic.partitions}"
                )
            if was_made:
                made.append(topic.name)
        return made

    def partitions(self, topic: str) -> int:
        """See the contract."""
        return len(self._topic(topic)[1])

    def append(self, records: Sequence[Outgoing], timeout_s: float = 10.0) -> Sequence[int]:
        """See the contract, and the module for what is not retried."""
        deadline = time.monotonic() + timeout_s
        batches, where = self._batches(records)
        if not batches:
            return []
        firsts = self._writer.write(batches, max(0.001, deadline - time.monotonic()))
        return [(firsts[index] or 0) + rank for index, rank in where]

    def reader(self, start: Mapping[TopicPartition, int]) -> Reader:
        """See the contract."""
        parts = {source: self._part(source) for source in start}
        latest = [parts[source] for source, offset in start.items() if offset == LATEST]
        ends = self._ends(latest) if latest else {}
        watch = Watch({self._topic(topic)[0] for topic, _ in start})
        feed = Feed(self._pool, self._listener, watch, self._statement_s)
        for source, offset in start.items():
            part = parts[source]
            feed.follow(part, source, ends[part] if offset == LATEST else max(EARLIEST, offset))
        self._listener.add(watch)
        return PostgresReader(feed, watch, self._listener, parts, self._ends)

    def begin_term(
        self, source: TopicPartition, record: Outgoing, timeout_s: float = 10.0
    ) -> Journal:
        """See the contract."""
        place = Place(self._part(source), self._topic(source[0])[0])
        return begin_term(self._writer, source, place, record, timeout_s)

    def commit(
        self, appends: Sequence[tuple[Journal, Sequence[Outgoing]]], timeout_s: float = 10.0
    ) -> Sequence[Commit]:
        """See the contract. One statement; what is larger than Postgres takes is refused."""
        return commit(self._writer, appends, timeout_s)

    def membership(self, group: str, topics: Sequence[str]) -> Member:
        """See the contract."""
        ids = {topic: self._topic(topic)[0] for topic in topics}
        watch = Watch(ids.values())
        sources = [(topic, n) for topic in topics for n in range(self.partitions(topic))]
        return PostgresMember(
            self._pool,
            self._schema,
            self._listener,
            watch,
            _membership(group, ids, watch),
            {self._part(source): source for source in sources},
            self._statement_s,
            self._session_s,
        )

    def ends(self, sources: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """See the contract."""
        parts = {source: self._part(source) for source in sources}
        ends = self._ends(parts.values())
        return {source: ends[part] for source, part in parts.items()}

    def offset_at(self, source: TopicPartition, timestamp: int) -> int | None:
        """See the contract."""
        statement = f"SELECT {self._schema}.offset_at({self._part(source)}, {int(timestamp)})"
        offset = self._run(statement)[0][0]
        return None if offset is None else int(offset)

    def ping(self, timeout_s: float = 2.0) -> None:
        """See the contract."""
        self._pool.run("SELECT 1", timeout_s)

    def close(self) -> None:
        """See the contract. Memberships end at once."""
        self._listener.close(CLOSE_S)
        self._pool.close()

    def _batches(self, records: Sequence[Outgoing]) -> tuple[list[Batch], list[tuple[int, int]]]:
        """A batch for each partition, and where each record is: the index of its batch, its
        rank in that."""
        batches: list[Batch] = []
        indices: dict[int, int] = {}
        where = []
        for record in records:
            place = self._place(record)
            index = indices.setdefault(place.part, len(batches))
            if index == len(batches):
                batches.append(Batch(place))
            where.append((index, batches[index].add(record, self.record_bytes_max)))
        return batches, where

    def _place(self, record: Outgoing) -> Place:
        topic, parts = self._topic(record.topic)
        if record.partition is not None:
            return Place(self._part((record.topic, record.partition)), topic)
        try:
            return Place(parts[partition_of(record.key, len(parts))], topic)
        except UnicodeEncodeError as error:
            raise no_text(record) from error

    def _part(self, source: TopicPartition) -> int:
        topic, number = source
        parts = self._topic(topic)[1]
        if not 0 <= number < len(parts):
            raise TopicMismatch(f"topic {topic} has no partition {number}")
        return parts[number]

    def _topic(self, name: str) -> tuple[int, tuple[int, ...]]:
        found = self._topics.get(name)
        if found is None and not _is_text(name):
            raise TopicMismatch(f"no topic can have the name {name!r}")
        if found is None:
            rows = self._run(
                f"SELECT t.id, p.id FROM {self._schema}.topic t "
                f"JOIN {self._schema}.partition p ON p.topic_id = t.id "
                f"WHERE t.name = {_literal(name)} ORDER BY p.number"
            )
            if not rows:
                raise TopicMismatch(f"there is no topic {name}")
            found = self._topics[name] = (rows[0][0], tuple(part for _, part in rows))
        return found

    def _ends(self, parts: Iterable[int]) -> dict[int, int]:
        rows = self._run(
            f"SELECT id, next_offset FROM {self._schema}.partition "
            f"WHERE id = ANY ('{{{','.join(map(str, parts))}}}')"
        )
        return dict(rows)

    def _run(self, statement: str) -> list[Row]:
        return self._pool.run(statement, self._statement_s)


def _membership(group: str, topics: Mapping[str, int], watch: Watch) -> Membership:
    """A membership whose changes ring the bell of ``watch``."""
    membership = Membership(group, topics, lambda: None)

    def changed() -> None:
        identity = membership.identity
        watch.group = identity[1] if identity is not None else watch.group
        watch.regroup()

    membership.changed = changed
    return membership


def _is_text(text: str) -> bool:
    """Whether Postgres can hold it."""
    return "\0" not in text and not any("\ud800" <= one <= "\udfff" for one in text)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
