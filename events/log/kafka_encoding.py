"""Kafka's record batches (format 2) as bytes.

kafka-python can do that too, byte by byte; with our fourteen headers that was most of the time of
an append. Header names are few, so their bytes are kept. What is written here is read back by the
library in ``tests/events/log/test_kafka_encoding.py``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from kafka.record.util import calc_crc32c

_HEAD = struct.Struct(">qiib")
"""Base offset, length from behind that field, leader's epoch, format."""

_COVERED = struct.Struct(">hiqqqhii")
"""What the checksum covers, before the records: attributes, last offset's delta, first and last
timestamp, producer's id and epoch, first sequence number, count of records."""

_CHECKSUM = struct.Struct(">I")

_FORMAT = 2
_BEHIND_LENGTH = 9
"""Bytes of ``_HEAD`` behind the length, and of the checksum."""


class Body(NamedTuple):
    """A record without what depends on its place in a batch."""

    content: bytes
    """Key, value and headers as they lie in a batch."""
    size: int
    """Bytes of key, value, and headers' names and texts."""


def body(key: str, value: bytes, headers: Mapping[str, str]) -> Body:
    """Encode a record's content. Raises ``UnicodeEncodeError``."""
    key_bytes = key.encode()
    parts = [_varint(len(key_bytes)), key_bytes, _varint(len(value)), value, _varint(len(headers))]
    size = len(key_bytes) + len(value)
    for name, text in headers.items():
        encoded = text.encode()
        named, name_size = _name(name)
        parts += (named, _varint(len(encoded)), encoded)
        size += name_size + len(encoded)
    return Body(b"".join(parts), size)


def record_batch(
    bodies: Sequence[Body], timestamp_ms: int, producer: int, epoch: int, sequence: int
) -> bytes:
    """Encode a batch of one or more records, all with the same timestamp."""
    parts: list[bytes] = []
    for delta, (content, _) in enumerate(bodies):
        place = b"\0\0" + _varint(delta)  # attributes, timestamp's delta, offset's delta
        parts += (_varint(len(place) + len(content)), place, content)
    last = len(bodies) - 1
    covered = _COVERED.pack(
        0, last, timestamp_ms, timestamp_ms, producer, epoch, sequence, len(bodies)
    ) + b"".join(parts)
    head = _HEAD.pack(0, _BEHIND_LENGTH + len(covered), 0, _FORMAT)
    return head + _CHECKSUM.pack(calc_crc32c(covered)) + covered


def _encoded(number: int) -> bytes:
    rest, digits = number << 1, bytearray()
    while rest > 0x7F:
        digits.append(0x80 | rest & 0x7F)
        rest >>= 7
    digits.append(rest)
    return bytes(digits)


_SMALL = tuple(map(_encoded, range(2048)))


def _varint(number: int) -> bytes:
    """Return Kafka's form of a number from 0 on (zigzag, seven bits a byte)."""
    return _SMALL[number] if number < len(_SMALL) else _encoded(number)


@lru_cache(maxsize=256)
def _name(name: str) -> tuple[bytes, int]:
    encoded = name.encode()
    return _varint(len(encoded)) + encoded, len(encoded)
