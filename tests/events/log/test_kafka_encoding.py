"""Our encoder of record batches against the library's decoder and encoder."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder

from events.log.kafka_encoding import body, record_batch

LENGTHS = (0, 1, 63, 64, 127, 128, 2047, 2048, 8191, 8192, 1 << 20, (1 << 20) + 1)
"""Where the form of a length changes, or the table of forms ends."""

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
RECORDS = st.lists(
    st.tuples(TEXTS, st.binary(max_size=300), st.dictionaries(TEXTS, TEXTS, max_size=20)),
    min_size=1,
    max_size=70,
)


def by_library(records: list[tuple[str, bytes, dict[str, str]]]) -> bytes:
    builder = MemoryRecordsBuilder(
        magic=2,
        compression_type=0,
        batch_size=1 << 30,
        producer_id=7,
        producer_epoch=3,
        base_sequence=11,
    )
    for key, value, headers in records:
        pairs = [(name, text.encode()) for name, text in headers.items()]
        builder.append(1_700_000_000_123, key.encode(), value, pairs)
    builder.close()
    return bytes(builder.buffer())


def ours(records: list[tuple[str, bytes, dict[str, str]]]) -> bytes:
    return record_batch([body(*record) for record in records], 1_700_000_000_123, 7, 3, 11)


@given(RECORDS)
def test_the_bytes_are_the_librarys(records: list[tuple[str, bytes, dict[str, str]]]) -> None:
    assert ours(records) == by_library(records)


@pytest.mark.parametrize("length", LENGTHS)
def test_lengths_at_the_edges_of_their_forms(length: int) -> None:
    records = [("k" * length, b"v" * length, {"name": "t" * length})]
    batch = MemoryRecords(ours(records)).next_batch()
    assert batch.validate_crc()
    (read,) = list(batch)
    assert read.key == b"k" * length
    assert read.value == b"v" * length
    assert read.headers == [("name", b"t" * length)]


def test_a_size_counts_bytes_of_key_value_and_headers() -> None:
    assert body("é", b"12345", {"a": "b", "cd": "ü"}).size == 2 + 5 + 2 + 4


def test_what_is_no_unicode_text_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        body("k", b"", {"name": "\ud800"})
