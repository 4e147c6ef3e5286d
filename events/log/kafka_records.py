"""Records to be written to Kafka: sizes, batches, partitions."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from events.log.contract import (
    Outgoing,
    RecordTooLarge,
    TopicMismatch,
    TopicPartition,
    Unstorable,
    partition_of,
)
from events.log.kafka_encoding import Body, body, record_batch

RECORD_BYTES_MAX = 1024 * 1024
"""Key, headers and value of one record together."""

MESSAGE_BYTES_MAX = RECORD_BYTES_MAX + 64 * 1024
"""``max.message.bytes`` of our topics: a batch with one such record, its lengths and header."""

JOURNAL_BYTES_MAX = 8 * 1024 * 1024
"""``max.message.bytes`` of journals: a decision is one batch, however many facts it has."""

COMMIT_BYTES_MAX = JOURNAL_BYTES_MAX - 64 * 1024

BATCH_BYTES = RECORD_BYTES_MAX

_RECORD_OVERHEAD = 16
"""A record's length, attributes, and deltas of offset and timestamp: never more bytes."""


class Addressed(NamedTuple):
    """A record with its partition, encoded."""

    source: TopicPartition
    body: Body


class Batch:
    """Records of one partition that go to it in one piece."""

    def __init__(self) -> None:
        self._bodies: list[Body] = []
        self.size = 0
        self._encoded: tuple[tuple[int, int, int], bytes] | None = None

    def __len__(self) -> int:
        return len(self._bodies)

    def add(self, content: Body) -> None:
        """Append a record."""
        self._bodies.append(content)
        self.size += _size_in_batch(content)

    def join(self, other: Batch) -> None:
        """Append another's records to these."""
        self._bodies += other._bodies
        self.size += other.size

    def encode(self, producer: int, epoch: int, sequence: int) -> bytes:
        """Kafka's record batch. A retry gets the same bytes, which is what makes it harmless."""
        state = (producer, epoch, sequence)
        if self._encoded is None or self._encoded[0] != state:
            now_ms = time.time_ns() // 1_000_000
            self._encoded = (state, record_batch(self._bodies, now_ms, *state))
        return self._encoded[1]


def batches(records: Iterable[Addressed]) -> dict[TopicPartition, list[Batch]]:
    """The records by partition, in order, cut where a batch would grow too large."""
    sorted_out: dict[TopicPartition, list[Batch]] = {}
    for source, content in records:
        pieces = sorted_out.setdefault(source, [Batch()])
        if pieces[-1].size and pieces[-1].size + _size_in_batch(content) > BATCH_BYTES:
            pieces.append(Batch())
        pieces[-1].add(content)
    return sorted_out


def whole_batch(records: Sequence[Outgoing]) -> Batch:
    """One batch with all of these records, which are of one partition.

    Raises ``RecordTooLarge`` for a record or a batch over its limit, ``Unstorable`` for a text
    that is none.
    """
    batch = Batch()
    for record in records:
        batch.add(_body(record))
    if batch.size > COMMIT_BYTES_MAX:
        raise RecordTooLarge(
            f"{len(batch)} records for {records[0].topic} have {batch.size} bytes, "
            f"the limit of a batch is {COMMIT_BYTES_MAX}."
        )
    return batch


def addressed(records: Sequence[Outgoing], partitions: Mapping[str, int]) -> list[Addressed]:
    """The records with their partitions; ``partitions`` counts those of each topic.

    Raises ``RecordTooLarge`` for one over the limit, ``Unstorable`` for a text that is none,
    ``TopicMismatch`` for a partition that its topic has not.
    """
    chosen = []
    for record in records:
        content, number = _body(record), record.partition
        if number is None:
            number = partition_of(record.key, partitions[record.topic])
        elif number >= partitions[record.topic]:
            raise TopicMismatch(f"Topic {record.topic} has no partition {number}.")
        chosen.append(Addressed((record.topic, number), content))
    return chosen


def _body(record: Outgoing) -> Body:
    try:
        content = body(record.key, record.value, record.headers)
    except UnicodeEncodeError as error:
        raise Unstorable(
            f"The key or a header of a record for {record.topic} is no Unicode text."
        ) from error
    if content.size > RECORD_BYTES_MAX:
        raise RecordTooLarge(
            f"A record for {record.topic} has {content.size} bytes, "
            f"the limit is {RECORD_BYTES_MAX}."
        )
    return content


def _size_in_batch(record: Body) -> int:
    return len(record.content) + _RECORD_OVERHEAD
