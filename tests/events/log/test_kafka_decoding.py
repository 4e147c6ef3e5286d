"""Our decoder of record batches against the library's."""

from __future__ import annotations

from collections.abc import Callable

import kafka.errors as errors
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.consumer.fetcher import Fetcher
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder
from kafka.record.util import calc_crc32c
from kafka.structs import TopicPartition as Source

from events.log.contract import Record
from events.log.kafka_encoding import body, record_batch
from events.log.kafka_private import Fetched
from tests.events.log.test_kafka_encoding import LENGTHS, TEXTS

AT_MS = 1_700_000_000_123
SOURCE = Source("topic", 3)
NONE, GZIP = 0, 1
NULLABLE = st.none() | st.binary(max_size=300)
RECORDS = st.lists(
    st.tuples(
        st.integers(-(10**6), 10**6),
        NULLABLE,
        NULLABLE,
        st.lists(st.tuples(TEXTS, NULLABLE), max_size=20),
    ),
    min_size=1,
    max_size=70,
)
Given = tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]


def by_library(records: list[Given], compression: int = NONE) -> bytes:
    """A batch whose first record has offset 0."""
    builder = MemoryRecordsBuilder(magic=2, compression_type=compression, batch_size=1 << 30)
    for moved_ms, key, value, headers in records:
        builder.append(AT_MS + moved_ms, key, value, headers)
    builder.close()
    return bytes(builder.buffer())


def ours(*batches: bytes, start: int = 0) -> Fetched:
    return Fetched(start, SOURCE, MemoryRecords(b"".join(batches)))


def librarys(batch: bytes) -> list[Record]:
    """What the library reads, as records of the log."""
    return [
        Record(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp=record.timestamp * 1000,
            key=(record.key or b"").decode(errors="replace"),
            value=record.value or b"",
            headers={
                name: text.decode(errors="replace")
                for name, text in record.headers
                if text is not None
            },
        )
        for record in Fetcher.PartitionRecords(0, SOURCE, MemoryRecords(batch)).take()
    ]


def changed(batch: bytes, at: int, *fresh: int) -> bytes:
    """The batch with other bytes from ``at`` on, and the checksum of these."""
    made = bytearray(batch)
    made[at : at + len(fresh)] = fresh
    made[17:21] = calc_crc32c(memoryview(made)[21:]).to_bytes(4, "big")
    return bytes(made)


@given(RECORDS, st.sampled_from([NONE, GZIP]))
def test_the_records_are_the_librarys(records: list[Given], compression: int) -> None:
    batch = by_library(records, compression)
    assert ours(batch).take() == librarys(batch)


@pytest.mark.parametrize("length", LENGTHS)
def test_lengths_at_the_edges_of_their_forms(length: int) -> None:
    batch = by_library([(0, b"k" * length, b"v" * length, [("n" * length, b"t" * length)])])
    assert ours(batch).take() == librarys(batch)


def test_what_we_have_encoded_is_read_back() -> None:
    written = [("é", b"\x00\xff", {"a": "ü", "b": ""}), ("", b"", {})]
    batch = record_batch([body(*record) for record in written], AT_MS, 7, 3, 11)
    read = ours(batch).take()
    assert [(record.key, record.value, record.headers) for record in read] == written
    assert [(record.offset, record.timestamp) for record in read] == [
        (0, AT_MS * 1000),
        (1, AT_MS * 1000),
    ]


def test_a_reader_begins_and_goes_on_in_the_middle_of_a_batch() -> None:
    batch = by_library([(0, b"", b"%d" % n, []) for n in range(9)])
    fetched = ours(batch, start=4)
    assert [record.offset for record in fetched.take(2)] == [4, 5]
    assert fetched.next_fetch_offset == 6
    assert [record.value for record in fetched.take(100)] == [b"6", b"7", b"8"]
    assert fetched.next_fetch_offset == 9
    assert not fetched


def test_a_moment_that_the_broker_has_set_counts_for_all_records() -> None:
    batch = by_library([(0, b"", b"", []), (5000, b"", b"", [])])
    appended = changed(batch, 22, 0x08)
    assert {record.timestamp for record in ours(appended).take()} == {(AT_MS + 5000) * 1000}
    assert ours(appended).take() == librarys(appended)


def test_the_end_of_a_transaction_is_passed_over() -> None:
    marker = changed(by_library([(0, b"\0\0\0\0", b"\0\0\0\0\0\0", [])]), 22, 0x30)
    fetched = ours(marker)
    assert fetched.take() == []
    assert fetched.next_fetch_offset == 1


def test_a_header_whose_name_is_no_text_stops_nobody() -> None:
    """The library refuses the record, so whoever may write to a topic could have ended it."""
    batch = by_library([(0, b"k", b"v", [("name", b"text")])])
    (read,) = ours(changed(batch, batch.index(b"name"), 0xFF)).take()
    assert read.headers == {"\ufffdame": "text"}


def test_what_is_damaged_is_not_read() -> None:
    batch = bytearray(by_library([(0, b"k", b"v", [])]))
    batch[-1] ^= 1
    with pytest.raises(errors.CorruptRecordError, match="checksum"):
        ours(bytes(batch)).take()


def test_the_old_format_is_not_read() -> None:
    builder = MemoryRecordsBuilder(magic=1, compression_type=NONE, batch_size=1 << 20)
    builder.append(AT_MS, b"k", b"v")
    builder.close()
    with pytest.raises(errors.CorruptRecordError, match="format"):
        ours(bytes(builder.buffer())).take()


def header_without_name(batch: bytes) -> bytes:
    return changed(batch, batch.index(b"name") - 1, 1)


def too_few_records(batch: bytes) -> bytes:
    return changed(batch, 60, 1)


def too_many_records(batch: bytes) -> bytes:
    return changed(batch, 60, 9)


def wrong_length(batch: bytes) -> bytes:
    return changed(batch, 61, batch[61] + 2)


def endless_number(batch: bytes) -> bytes:
    return changed(batch, 61, *([0xFF] * (len(batch) - 61)))


@pytest.mark.parametrize(
    "spoil",
    [header_without_name, too_few_records, too_many_records, wrong_length, endless_number],
)
def test_bytes_that_are_no_records_are_refused(spoil: Callable[[bytes], bytes]) -> None:
    batch = by_library([(0, b"k", b"v", [("name", b"text")])] * 2)
    with pytest.raises(errors.CorruptRecordError, match="cannot be read"):
        ours(spoil(batch)).take()
