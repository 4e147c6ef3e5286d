"""Records to and from Kafka's format: sizes, batches, what a consumer read."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kafka.record.memory_records import MemoryRecordsBuilder

from events.log.contract import (
    Outgoing,
    Record,
    RecordTooLarge,
    TopicMismatch,
    TopicPartition,
    Unstorable,
    partition_of,
)

RECORD_BYTES_MAX = 1024 * 1024
"""Key, headers and value of one record together."""

MESSAGE_BYTES_MAX = RECORD_BYTES_MAX + 64 * 1024
"""``max.message.bytes`` of our topics: a batch with one such record, its lengths and header."""

JOURNAL_BYTES_MAX = 8 * 1024 * 1024
"""``max.message.bytes`` of journals: a decision is one batch, however many facts it has."""

COMMIT_BYTES_MAX = JOURNAL_BYTES_MAX - 64 * 1024

BATCH_BYTES = RECORD_BYTES_MAX

# Lengths, offset and timestamp deltas of a record, and the lengths of each header: never more.
_RECORD_OVERHEAD = 32
_HEADER_OVERHEAD = 10

Headers = list[tuple[str, bytes]]


class Batch:
    """Records of one partition that go to it in one piece."""

    def __init__(self) -> None:
        self._records: list[tuple[bytes, bytes, Headers]] = []
        self.size = 0
        self._encoded: tuple[tuple[int, int, int], Any] | None = None

    def __len__(self) -> int:
        return len(self._records)

    def add(self, record: Outgoing, size: int) -> None:
        """Append a record, which takes at most ``size`` bytes."""
        self._records.append((record.key.encode(), record.value, headers_of(record)))
        self.size += size

    def join(self, other: Batch) -> None:
        """Append another's records to these."""
        self._records += other._records
        self.size += other.size

    def encode(self, producer: int, epoch: int, sequence: int) -> Any:
        """Kafka's record batch. A retry gets the same bytes, which is what makes it harmless."""
        state = (producer, epoch, sequence)
        if self._encoded is None or self._encoded[0] != state:
            builder = MemoryRecordsBuilder(
                magic=2,
                compression_type=0,
                batch_size=2 * JOURNAL_BYTES_MAX,
                producer_id=producer,
                producer_epoch=epoch,
                base_sequence=sequence,
            )
            now_ms = int(time.time() * 1000)
            for key, value, headers in self._records:
                builder.append(now_ms, key, value, headers)
            builder.close()
            self._encoded = (state, builder.buffer())
        return self._encoded[1]


def batches(records: Iterable[Outgoing]) -> dict[TopicPartition, list[Batch]]:
    """The records by partition, in order, cut where a batch would grow too large."""
    sorted_out: dict[TopicPartition, list[Batch]] = {}
    for record in records:
        assert record.partition is not None
        size = _size_in_batch(record)
        pieces = sorted_out.setdefault((record.topic, record.partition), [Batch()])
        if pieces[-1].size and pieces[-1].size + size > BATCH_BYTES:
            pieces.append(Batch())
        pieces[-1].add(record, size)
    return sorted_out


def whole_batch(records: Sequence[Outgoing]) -> Batch:
    """One batch with all of these records, which are of one partition.

    Raises ``RecordTooLarge`` for a record or a batch over its limit, ``Unstorable`` for a text
    that is none.
    """
    batch = Batch()
    for record in records:
        _check_size(record)
        batch.add(record, _size_in_batch(record))
    if batch.size > COMMIT_BYTES_MAX:
        raise RecordTooLarge(
            f"{len(batch)} records for {records[0].topic} have {batch.size} bytes, "
            f"the limit of a batch is {COMMIT_BYTES_MAX}."
        )
    return batch


def addressed(records: Sequence[Outgoing], partitions: Mapping[str, int]) -> list[Outgoing]:
    """The records with their partitions; ``partitions`` counts those of each topic.

    Raises ``RecordTooLarge`` for one over the limit, ``Unstorable`` for a text that is none,
    ``TopicMismatch`` for a partition that its topic has not.
    """
    chosen = []
    for record in records:
        _check_size(record)
        if record.partition is not None and record.partition >= partitions[record.topic]:
            raise TopicMismatch(f"Topic {record.topic} has no partition {record.partition}.")
        if record.partition is None:
            number = partition_of(record.key, partitions[record.topic])
            record = Outgoing(record.topic, record.key, record.value, record.headers, number)
        chosen.append(record)
    return chosen


def _check_size(record: Outgoing) -> None:
    try:
        size = size_of(record)
    except UnicodeEncodeError as error:
        raise Unstorable(
            f"The key or a header of a record for {record.topic} is no Unicode text."
        ) from error
    if size > RECORD_BYTES_MAX:
        raise RecordTooLarge(
            f"A record for {record.topic} has {size} bytes, the limit is {RECORD_BYTES_MAX}."
        )


def _size_in_batch(record: Outgoing) -> int:
    return size_of(record) + _RECORD_OVERHEAD + _HEADER_OVERHEAD * len(record.headers)


def size_of(record: Outgoing) -> int:
    """Bytes of key, headers and value."""
    headers = sum(len(name.encode()) + len(text.encode()) for name, text in record.headers.items())
    return len(record.key.encode()) + len(record.value) + headers


def headers_of(record: Outgoing) -> Headers:
    """Headers as kafka-python takes them."""
    return [(name, text.encode()) for name, text in record.headers.items()]


def read(record: Any) -> Record:
    """A record as kafka-python's consumer gives it; its timestamp is in milliseconds."""
    return Record(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=record.timestamp * 1000,
        key=record.key.decode(errors="replace") if record.key is not None else "",
        value=bytes(record.value) if record.value is not None else b"",
        headers={
            name: text.decode(errors="replace") for name, text in record.headers if text is not None
        },
    )
