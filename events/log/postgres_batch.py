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

from events.log.contract import Outgoing, Record, RecordTooLarge, TopicPartition
from events.log.postgres_connection import Row
from events.log.postgres_tail import Lengths

_from_json = msgspec.json.Decoder(dict[str, str]).decode


class Place(NamedTuple):
    """Where a record goes: ids of its partition and topic."""

    part: int
    topic: int


class Moved(NamedTuple):
    """An input partition of a group that a write moves; ``next_offset`` None only checks."""

    part: int
    epoch: int
    next_offset: int | None


class Written(NamedTuple):
    """A record that is written: the index of its partition in the answer, its rank in that, its
    headers as they are stored."""

    slot: int
    rank: int
    headers: str


def write_statement(
    schema: str,
    records: Sequence[Outgoing],
    places: Sequence[Place],
    record_bytes_max: int,
    group: int | None = None,
    moved: Iterable[Moved] = (),
) -> tuple[str, list[Written]]:
    """The statement that writes ``records`` to ``places``, and what becomes of each record; the
    answer is an array of first offsets, then as many append times.

    Raises ``RecordTooLarge`` and, for a key with a NUL in it, ``ValueError``.
    """
    order = sorted(range(len(records)), key=lambda index: places[index].part)
    parts: list[int] = []
    topics: list[int] = []
    counts: list[int] = []
    largest: list[int] = []
    lengths: list[Lengths] = []
    columns: list[tuple[int, ...]] = []
    texts: list[str] = []
    values: list[bytes] = []
    found = [Written(0, 0, "")] * len(records)
    text_at = value_at = 1
    for index in order:
        record, place = records[index], places[index]
        if not parts or parts[-1] != place.part:
            parts.append(place.part)
            topics.append(place.topic)
            counts.append(0)
            largest.append(0)
            lengths.append(Lengths())
        headers = encode_headers(record.headers)
        key_bytes, header_bytes = len(record.key.encode()), len(headers.encode())
        size = key_bytes + header_bytes + len(record.value)
        _check(record, size, record_bytes_max)
        slot, rank = len(parts), counts[-1]
        columns.append((slot, rank, text_at, key_bytes, header_bytes, value_at, len(record.value)))
        found[index] = Written(slot - 1, rank, headers)
        counts[-1] = rank + 1
        largest[-1] = max(largest[-1], size)
        lengths[-1].add(record.key, headers, record.value, key_bytes + header_bytes)
        texts += (record.key, headers)
        values.append(record.value)
        text_at += key_bytes + header_bytes
        value_at += len(record.value)
    moves = sorted(moved)
    arguments = [
        "NULL" if group is None else str(group),
        _array([move.part for move in moves]),
        _array([move.epoch for move in moves]),
        _array([move.next_offset for move in moves]),
        *map(_array, (parts, topics, counts, largest)),
        _texts([each.line() for each in lengths]),
        _array([each.text_bytes for each in lengths]),
        _array([each.value_bytes for each in lengths]),
        *map(_array, zip(*columns, strict=True) if columns else [()] * 7),
        # Bytes in Postgres's "escape" form, which for text is the text itself.
        "'" + "".join(texts).replace("\\", "\\\\").replace("'", "''") + "'",
        "'\\x" + b"".join(values).hex() + "'",
    ]
    return f"SELECT {schema}.write({','.join(arguments)})", found


def _check(record: Outgoing, size: int, record_bytes_max: int) -> None:
    if size > record_bytes_max:
        raise RecordTooLarge(
            f"a record of {size} bytes for {record.topic} exceeds the limit of {record_bytes_max}"
        )
    if "\0" in record.key:
        raise ValueError(f"the key of a record for {record.topic} has a NUL in it")


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
