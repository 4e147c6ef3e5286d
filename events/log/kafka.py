"""The Kafka log: the contract on a Kafka cluster, for sites that want its scale and its taps.

Exactly-once v2: one transaction holds a worker's records and its input offsets; offsets carry
the group's generation (see ``kafka_worker``). Clients are made where they are used first, so
a process may fork before that. Every call is bounded; what cannot be reached in time is
``LogUnavailable``. Nothing here has state that a crash could lose.

- ``kafka_connection``: own requests to the cluster, each with a deadline
- ``kafka_transactions``: transactions, request by request (``kafka_requests``)
- ``kafka_consumer``: kafka-python's consumer with a wait that can be woken;
  ``kafka_assignor``: how a group shares its partitions
- ``kafka_produce``: produce requests; ``kafka_append``: the shared idempotent producer
- ``kafka_journal``: journals and their terms; ``kafka_search``: what lies between two offsets
- ``kafka_member``, ``kafka_worker``, ``kafka_reader``, ``kafka_topics``: what the contract names
"""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from events.log import kafka_journal, kafka_topics
from events.log.contract import Commit, Journal, Outgoing, Topic, TopicPartition
from events.log.kafka_append import Appender
from events.log.kafka_connection import Connection, Deadline, checked_options
from events.log.kafka_consumer import Consumer
from events.log.kafka_member import KafkaMember
from events.log.kafka_reader import KafkaReader
from events.log.kafka_records import MESSAGE_BYTES_MAX, RECORD_BYTES_MAX, addressed
from events.log.kafka_transactions import Transactions
from events.log.kafka_worker import KafkaWorker


class KafkaLog:
    """A ``contract.Log``.

    ``bootstrap`` is ``host:port`` or several with commas. ``client_options`` are kafka-python's
    for security and the way to the brokers (``security_protocol``, ``ssl_…``, ``sasl_…``,
    ``proxy_url``, ``client_dns_lookup``); ``ValueError`` for any other.

    A member is thrown out ``session_timeout_s`` after it fell silent (brokers allow 6 s and
    more by default), or ``poll_interval_max_s`` after its last poll. The broker aborts a
    transaction left open for ``transaction_timeout_s``. ``timeout_s`` bounds each call that
    has no time of its own; a transaction may take 2 s more to be given up.
    """

    record_bytes_max = RECORD_BYTES_MAX

    def __init__(
        self,
        bootstrap: str,
        *,
        client_options: Mapping[str, object] | None = None,
        replication_factor: int = 1,
        session_timeout_s: float = 6.0,
        heartbeat_s: float = 0.5,
        poll_interval_max_s: float = 60.0,
        transaction_timeout_s: float = 5.0,
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
        self._transaction_timeout_ms = int(transaction_timeout_s * 1000)
        self._timeout_s = timeout_s
        self._connection = Connection(bootstrap, self._options, _client_id("log"))
        self._appender = Appender(self._connection)
        self._partitions: dict[str, int] = {}
        self._lock = threading.Lock()
        self._closed = False

    def identity(self) -> str:
        """The cluster's id."""
        return kafka_topics.cluster_id(self._connection, self._timeout_s)

    def create_topics(self, topics: Sequence[Topic]) -> Sequence[str]:
        """Make those that are missing, with the settings a log of record needs; their names."""
        made = kafka_topics.create(
            self._connection, topics, self._replication_factor, MESSAGE_BYTES_MAX, timeout_s=30.0
        )
        self._partitions.update({topic.name: topic.partitions for topic in topics})
        return made

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        return self._count(topic, self._timeout_s)

    def append(self, records: Sequence[Outgoing], timeout_s: float = 10.0) -> Sequence[int]:
        """Write records durably, without a transaction; their offsets."""
        deadline = Deadline(timeout_s)
        topics = {record.topic for record in records}
        counts = {topic: self._count(topic, deadline.left_s) for topic in topics}
        return self._appender.append(addressed(records, counts), deadline.left_s)

    def reader(self, start: Mapping[TopicPartition, int]) -> KafkaReader:
        """A reader of these partitions, each from its offset."""
        for topic, _ in start:
            self.partitions(topic)
        options = {**self._options, "group_id": None, "client_id": _client_id("reader")}
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
        options |= {"client_id": _client_id("member"), "isolation_level": "read_uncommitted"}
        with _released_on_failure(Consumer(self._bootstrap, options)) as consumer:
            consumer.join(topics)
            return KafkaMember(consumer)

    def member(self, group: str, topics: Sequence[str]) -> KafkaWorker:
        """A member of ``group``, which joins at its first poll."""
        for topic in topics:
            self.partitions(topic)
        identity = f"{group}-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        worker = self._worker(group, identity, None)
        worker.join(topics)
        return worker

    def fixed(self, name: str, sources: Sequence[TopicPartition]) -> KafkaWorker:
        """The worker ``name``; the one before it is fenced when this returns.

        Its transactional id is ``name``, its offsets are those of the group ``name.fixed``.
        """
        for topic, _ in sources:
            self.partitions(topic)
        return self._worker(f"{name}.fixed", name, sources)

    def ends(self, sources: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """For each partition the offset after its last record."""
        for topic, _ in sources:
            self.partitions(topic)
        return self._ends(sources)

    def settled_end(self, source: TopicPartition, timeout_s: float = 15.0) -> int:
        """The offset after the last record, once no transaction of before is open any more."""
        return kafka_topics.settled_end(self._connection, source, timeout_s)

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

    def _worker(
        self, group: str, transactional_id: str, sources: Sequence[TopicPartition] | None
    ) -> KafkaWorker:
        options = {**self._options, **self._group_options}
        options |= {"group_id": group, "client_id": _client_id("worker")}
        transactions = Transactions(
            self._connection, transactional_id, group, self._transaction_timeout_ms
        )
        with _released_on_failure(Consumer(self._bootstrap, options)) as consumer:
            return KafkaWorker(
                consumer, transactions, group, sources, self._counts, self._timeout_s
            )

    def _count(self, topic: str, timeout_s: float) -> int:
        count = self._partitions.get(topic)
        if count is None:
            count = kafka_topics.partitions(self._connection, topic, timeout_s)
            self._partitions[topic] = count
        return count

    def _counts(self, topics: set[str]) -> Mapping[str, int]:
        return {topic: self.partitions(topic) for topic in topics}

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
