"""Records as the Postgres log writes and reads them.

Written: one call of the function ``write`` for any number of records, sorted by partition id so
that all writers lock in the same order. Keys and headers go in one literal, values in another;
the rest is arrays of numbers. Headers are stored as lines, name and value in turn, because
splitting lines costs a quarter of parsing JSON (0.5 against 2.1 µs for twelve headers); headers
that have a line break in them, or a NUL, are stored as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from events.log.contract import Outgoing, Record, RecordTooLarge, TopicPartition, Unstorable
from events.log.postgres_connection import Row
from events.log.postgres_tail import Lengths

_from_json = msgspec.json.Decoder(dict[str, str]).decode

BEGINS = -1
"""In place of a term: the batch begins one, which is the offset of its first record."""


class Place(NamedTuple):
    """Where a record goes: ids of its partition and topic."""

    part: int
    topic: int


class Stored(NamedTuple):
    """A record as it is stored; the lengths are those of its texts in bytes."""

    key: str
    headers: str
    value: bytes
    key_bytes: int
    header_bytes: int


def no_text(record: Outgoing) -> Unstorable:
    """Return the refusal of a record whose key or headers are not Unicode text."""
    return Unstorable(f"the key or a header of a record for {record.topic} is no Unicode text")


class Batch:
    """The records that one statement appends to one partition.

    ``term`` None appends whatever the partition's term is; ``BEGINS`` begins a term; any other
    number is the term that must be the partition's, or nothing of the batch is written.
    """

    def __init__(self, place: Place, term: int | None = None) -> None:
        self.part, self.topic = place
        self.term = term
        self.rows: list[Stored] = []
        self.size = 0
        self.largest = 0
        self.lengths = Lengths()

    def add(self, record: Outgoing, record_bytes_max: int) -> int:
        """Add a record and return its rank. Raises ``RecordTooLarge`` and ``Unstorable``."""
        if "\0" in record.key:
            raise Unstorable(f"the key of a record for {record.topic} has a NUL in it")
        try:
            headers = encode_headers(record.headers)
            key_bytes, header_bytes = len(record.key.encode()), len(headers.encode())
        except UnicodeEncodeError as error:
            raise no_text(record) from error
        size = key_bytes + header_bytes + len(record.value)
        if size > record_bytes_max:
            raise RecordTooLarge(
                f"a record of {size} bytes for {record.topic} exceeds the limit of "
                f"{record_bytes_max}"
            )
        self.rows.append(Stored(record.key, headers, record.value, key_bytes, header_bytes))
        self.size += size
        self.largest = max(self.largest, size)
        self.lengths.add(record.key, headers, record.value, key_bytes + header_bytes)
        return len(self.rows) - 1


def write_statement(schema: str, batches: Sequence[Batch]) -> str:
    """Return the statement that writes ``batches``, which are sorted by partition id.

    Its answer is an array: the first offset of each batch (NULL: its term is over), then the
    append time of each.
    """
    columns: list[tuple[int, ...]] = []
    texts: list[str] = []
    values: list[bytes] = []
    text_at = value_at = 1
    for slot, batch in enumerate(batches, 1):
        for rank, row in enumerate(batch.rows):
            key_bytes, header_bytes, size = row.key_bytes, row.header_bytes, len(row.value)
            columns.append((slot, rank, text_at, key_bytes, header_bytes, value_at, size))
            texts += (row.key, row.headers)
            values.append(row.value)
            text_at += key_bytes + header_bytes
            value_at += size
    arguments = [
        _array([batch.part for batch in batches]),
        _array([batch.topic for batch in batches]),
        _array([batch.term for batch in batches]),
        _array([len(batch.rows) for batch in batches]),
        _array([batch.largest for batch in batches]),
        _texts([batch.lengths.line() for batch in batches]),
        _array([batch.lengths.text_bytes for batch in batches]),
        _array([batch.lengths.value_bytes for batch in batches]),
        *map(_array, zip(*columns, strict=True) if columns else [()] * 7),
        # Bytes in Postgres's "escape" form, which for text is the text itself.
        "'" + "".join(texts).replace("\\", "\\\\").replace("'", "''") + "'",
        "'\\x" + b"".join(values).hex() + "'",
    ]
    return f"SELECT {schema}.write({','.join(arguments)})"


def _array(numbers: Iterable[int | None]) -> str:
    return "'{" + ",".join(["NULL" if n is None else str(n) for n in numbers]) + "}'"


def _texts(texts: Iterable[str | None]) -> str:
    """An array of texts without quotes or backslashes in them."""
    return "'{" + ",".join(["NULL" if t is None else f'"{t}"' for t in texts]) + "}'"


def fetch_call(positions: Mapping[int, int], records_max: int, bytes_max: int) -> str:
    """The statement that reads from ``positions`` (partition id → offset)."""
    parts, offsets = _array(positions), _array(positions.values())
    return f"EXECUTE log_fetch({parts},{offsets},{records_max},{bytes_max})"


def decode_rows(rows: Iterable[Row], sources: Mapping[int, TopicPartition]) -> list[Record]:
    """Rows of ``log_fetch`` as records."""
    records = []
    for part, offset, timestamp, key, headers, value in rows:
        topic, partition = sources[part]
        records.append(
            Record(topic, partition, offset, timestamp, key, bytes(value), decode_headers(headers))
        )
    return records


def encode_headers(headers: Mapping[str, str]) -> str:
    """Headers as they are stored; see the module."""
    if not headers:
        return ""
    lines = [line for item in headers.items() for line in item]
    text = "\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text[0] == "{" or "\0" in text:
        return msgspec.json.encode(dict(headers)).decode()
    return text


def decode_headers(text: str) -> dict[str, str]:
    """The reverse of ``encode_headers``."""
    if not text:
        return {}
    if text[0] == "{":
        return _from_json(text)
    lines = iter(text.split("\n"))
    return dict(zip(lines, lines, strict=True))
