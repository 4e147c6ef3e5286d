"""The Kafka log: the contract on a Kafka cluster, for sites that want its scale and its taps.

There are no transactions, and no offsets of groups. Clients are made where they are used first,
so a process may fork before that. Every call is bounded; what cannot be reached in time is
``LogUnavailable``. Nothing here has state that a crash could lose.

- ``kafka_connection``: own requests to the cluster, each with a deadline
- ``kafka_consumer``: kafka-python's consumer with a wait that can be woken;
  ``kafka_assignor``: how a group shares its partitions
- ``kafka_produce``: produce requests; ``kafka_append``: the shared idempotent producer
- ``kafka_journal``: journals and their terms; ``kafka_search``: what lies between two offsets
- ``kafka_member``, ``kafka_reader``, ``kafka_topics``: what the contract names
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from events.log import kafka_journal, kafka_topics
from events.log.contract import Commit, Journal, LogError, Outgoing, Topic, TopicPartition
from events.log.kafka_append import Appender
from events.log.kafka_connection import Connection, Deadline, checked_options
from events.log.kafka_consumer import PATIENT, Consumer
from events.log.kafka_counts import PartitionCounts
from events.log.kafka_member import KafkaMember
from events.log.kafka_reader import KafkaReader
from events.log.kafka_records import (
    COMMIT_BYTES_MAX,
    RECORD_BYTES_MAX,
    addressed,
)


class KafkaLog:
    """A ``contract.Log``.

    ``bootstrap`` is ``host:port`` or several with commas. ``client_options`` are kafka-python's
    for security and the way to the brokers (``security_protocol``, ``ssl_…``, ``sasl_…``,
    ``proxy_url``, ``client_dns_lookup``); ``ValueError`` for any other.

    A member is thrown out ``session_timeout_s`` after it fell silent (brokers allow 6 s and
    more by default), or ``poll_interval_max_s`` after its last poll. ``timeout_s`` bounds each
    call that has no time of its own.
    """

    record_bytes_max = RECORD_BYTES_MAX
    commit_bytes_max = COMMIT_BYTES_MAX

    def __init__(
        self,
        bootstrap: str,
        *,
        client_options: Mapping[str, object] | None = None,
        replication_factor: int = 1,
        session_timeout_s: float = 6.0,
        heartbeat_s: float = 0.5,
        poll_interval_max_s: float = 60.0,
        timeout_s: float = 5.0,
    ) -> None:
        self._bootstrap = bootstrap
        self._options = checked_options(client_options or {})
        self._replication_factor = replication_factor
        self._group_options: Mapping[str, object] = {
            "session_timeout_ms": int(session_timeout_s * 1000),
            "heartbeat_interval_ms": int(heartbeat_s * 1000),
            "max_poll_interval_ms": int(poll_interval_max_s * 1000),
        }
        self._timeout_s = timeout_s
        self._connection = Connection(bootstrap, self._options, _client_id("log"))
        self._appender = Appender(self._connection)
        self._partitions = PartitionCounts(self._ask_count)
        self._lock = threading.Lock()
        self._closed = False

    def identity(self) -> str:
        """The cluster's id."""
        return kafka_topics.cluster_id(self._connection, self._timeout_s)

    def create_topics(self, topics: Sequence[Topic]) -> Sequence[str]:
        """Make those that are missing, with the settings a log of record needs; their names."""
        made = kafka_topics.create(
            self._connection, topics, self._replication_factor, timeout_s=30.0
        )
        self._partitions.note({topic.name: topic.partitions for topic in topics})
        return made

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        return self._partitions.of(topic, self._timeout_s)

    def append(self, records: Sequence[Outgoing], timeout_s: float = 10.0) -> Sequence[int]:
        """Write records durably; their offsets."""
        deadline = Deadline(timeout_s)
        topics = {record.topic for record in records}
        counts = {topic: self._partitions.of(topic, deadline.left_s) for topic in topics}
        try:
            return self._appender.append(addressed(records, counts), deadline.left_s)
        except LogError:
            self._partitions.forget(topics)
            raise

    def reader(self, start: Mapping[TopicPartition, int]) -> KafkaReader:
        """A reader of these partitions, each from its offset."""
        for topic, _ in start:
            self.partitions(topic)
        options = {**self._options, "group_id": None, "client_id": _client_id("reader")}
        options |= PATIENT if len(start) == 1 else {}
        with _released_on_failure(Consumer(self._bootstrap, options)) as consumer:
            return KafkaReader(consumer, start, self._ends)

    def begin_term(
        self, source: TopicPartition, record: Outgoing, timeout_s: float = 10.0
    ) -> Journal:
        """Begin a new term of a journal with ``record``, and return its writer."""
        return kafka_journal.begin_term(self._connection, source, record, timeout_s)

    def commit(
        self, appends: Sequence[tuple[Journal, Sequence[Outgoing]]], timeout_s: float = 10.0
    ) -> Sequence[Commit]:
        """Append to each journal its records as one batch; how each ended, in order."""
        return kafka_journal.commit(self._connection, appends, timeout_s)

    def membership(self, group: str, topics: Sequence[str]) -> KafkaMember:
        """A member of ``group``, which joins at its first poll and commits no offsets."""
        for topic in topics:
            self.partitions(topic)
        options = {**self._options, **self._group_options, "group_id": group}
        options |= {"client_id": _client_id("member")}
        with _released_on_failure(Consumer(self._bootstrap, options)) as consumer:
            consumer.join(topics)
            return KafkaMember(consumer)

    def ends(self, sources: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """For each partition the offset after its last record."""
        for topic, _ in sources:
            self.partitions(topic)
        return self._ends(sources)

    def offset_at(self, source: TopicPartition, timestamp: int) -> int | None:
        """The first offset appended at or after ``timestamp`` (Kafka keeps milliseconds)."""
        return kafka_topics.offset_at(self._connection, source, timestamp, self._timeout_s)

    def ping(self, timeout_s: float = 2.0) -> None:
        """Raises ``LogUnavailable`` unless a broker answers."""
        kafka_topics.ping(self._connection, timeout_s)

    def close(self) -> None:
        """Release the connections; workers and readers have their own."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._connection.close()

    def _ask_count(self, topic: str, timeout_s: float) -> int:
        return kafka_topics.partitions(self._connection, topic, timeout_s)

    def _ends(self, sources: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        return kafka_topics.ends(self._connection, sources, self._timeout_s)


@contextmanager
def _released_on_failure(consumer: Consumer) -> Iterator[Consumer]:
    """Whoever cannot be made leaves no thread and no connection behind."""
    try:
        yield consumer
    except BaseException:
        consumer.leave(timeout_s=1.0)
        raise


def _client_id(role: str) -> str:
    return f"chronova-{role}-{os.getpid()}"
