"""The newest records of partitions, as notifications brought them or this process wrote them.

A notification carries its records when they fit (Postgres allows 8,000 bytes), so a reader that
is level with the log takes them from here and asks the database nothing: of a hop of 2 ms that
saves the round trip. What is not here is fetched; a gap in a partition's window empties it, so
what is here has no holes.

A notification's text: the partition's id, its new end, and if it carries records: when they were
appended, each one's lengths (key and headers in characters, value in bytes; ``k,h,v;…``), the
characters of all, the bytes of all in base64.
"""

from __future__ import annotations

import threading
from binascii import a2b_base64
from collections.abc import Sequence

from events.log.postgres_connection import Row

PAYLOAD_BYTES_MAX = 7_900
RECORDS_MAX = 64
"""Of one partition: who is further behind fetches larger batches anyway."""


class Lengths:
    """The lengths of the records that go to one partition: whether and how they are announced."""

    def __init__(self) -> None:
        self.text_bytes = 0
        self.value_bytes = 0
        self._each: list[str] = []

    def add(self, key: str, headers: str, value: bytes, text_bytes: int) -> None:
        """One more record; ``text_bytes``: of key and headers together."""
        self._each.append(f"{len(key)},{len(headers)},{len(value)}")
        self.text_bytes += text_bytes
        self.value_bytes += len(value)

    def line(self) -> str | None:
        """What a notification says of them; None when it would be too long with them."""
        line = ";".join(self._each)
        in_base64 = self.value_bytes * 4 // 3 * 77 // 76
        size = 100 + len(line) + self.text_bytes + in_base64
        return line if size <= PAYLOAD_BYTES_MAX else None


def parse(payload: str) -> tuple[int, int, list[Row]]:
    """A notification's partition, its end, and the records that come along, as rows."""
    part, _, rest = payload.partition(":")
    end, _, rest = rest.partition(":")
    if not rest:
        return int(part), int(end), []
    stamp, line, rest = rest.split(":", 2)
    lengths = [tuple(map(int, each.split(","))) for each in line.split(";")]
    characters = sum(key + headers for key, headers, _ in lengths)
    values = a2b_base64(rest[characters:])
    rows: list[Row] = []
    offset, at, value_at = int(end) - len(lengths), 0, 0
    for key, headers, value in lengths:
        rows.append(
            (
                int(part),
                offset,
                int(stamp),
                rest[at : at + key],
                rest[at + key : at + key + headers],
                values[value_at : value_at + value],
            )
        )
        at += key + headers
        value_at += value
        offset += 1
    return int(part), int(end), rows


class Tail:
    """The last records of each partition. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: dict[int, list[Row]] = {}

    def add(self, part: int, rows: Sequence[Row]) -> None:
        """These follow each other; what does not go on from the window begins a new one."""
        with self._lock:
            window = self._windows.get(part, [])
            after = window[-1][1] + 1 if window else rows[0][1]
            if rows[0][1] > after:
                window = []
            fresh = [row for row in rows if row[1] >= after] if window else list(rows)
            self._windows[part] = [*window, *fresh][-RECORDS_MAX:]

    def keep(self, parts: frozenset[int]) -> None:
        """Forget the partitions that nobody reads any more."""
        with self._lock:
            for part in self._windows.keys() - parts:
                del self._windows[part]

    def take(self, part: int, position: int, most: int) -> list[Row]:
        """Up to ``most`` rows from ``position`` on; none if that has to be fetched."""
        with self._lock:
            window = self._windows.get(part)
        if not window or position < window[0][1]:
            return []
        at = position - window[0][1]
        return window[at : at + most]
