"""How far a host has read its topics, and which pieces it has not ended: in a small file.

The file is written now and then, so it may be older than the truth, or lost. That is harmless:
work that comes again is recognised by the marks of its subjects. The file spares reading
everything again, and lets a delivery that was made twice be taken once.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Protocol

import msgspec

from events.log.contract import EARLIEST, Record
from events.log.records import chain_hash

ORIGIN = re.compile(r"(?P<source>[a-z]+\.events/\d+)/(?P<position>\d+)>(?P<index>\d+)")
"""The id of a record that follows from an event."""


class Place(msgspec.Struct):
    """How far one topic was read.

    ``next``: the offset after the last record read. ``last``: that record's offset and hash, by
    which another log shows, or a restored one that has grown again. ``open``: offsets of pieces
    that have not ended. ``taken``: for each source partition the highest position and index of
    what was taken.
    """

    next: int = 0
    last: tuple[int, str] | None = None
    open: list[int] = []
    taken: dict[str, tuple[int, int]] = {}


class Keeper(Protocol):
    """Where the bookmark's bytes are kept."""

    def load(self) -> bytes | None:
        """What was saved last, if it is there."""

    def save(self, content: bytes) -> None:
        """Keep this instead."""


class KeptInFile:
    """Keeps the bytes in a file, which is replaced whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> bytes | None:
        """The file's content, or None when there is no such file."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None

    def save(self, content: bytes) -> None:
        """Replace the file; it is on the disk when this returns."""
        new = self._path.with_name(self._path.name + ".new")
        with new.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        new.replace(self._path)


class KeptNowhere:
    """Keeps nothing: everything is read again at the next start."""

    def load(self) -> bytes | None:
        """Nothing."""
        return None

    def save(self, content: bytes) -> None:
        """Nothing is kept."""


class Bookmark:
    """The places of all topics that a performer reads. One thread's."""

    def __init__(self, keeper: Keeper, topics: list[str]) -> None:
        self._keeper = keeper
        known = _decoded(keeper.load())
        self._places = {topic: known.get(topic) or Place() for topic in topics}
        self._resumed = {topic: set(place.open) for topic, place in self._places.items()}
        self._unproved = {topic for topic, place in self._places.items() if place.last is not None}
        self._changed = False

    def starts(self) -> dict[str, int]:
        """Where reading begins: at the oldest piece that has not ended, or the last record."""
        starts = {}
        for topic, place in self._places.items():
            known = [*place.open, *([place.last[0]] if place.last is not None else [])]
            starts[topic] = min(known) if known else EARLIEST
        return starts

    def ahead(self, topic: str, end: int) -> bool:
        """Whether more was read of the topic than there is: the log was restored from a copy."""
        return self._places[topic].next > end

    def forget(self, topic: str) -> None:
        """Read the topic again from its beginning."""
        self._places[topic] = Place()
        self._resumed[topic] = set()
        self._unproved.discard(topic)
        self._changed = True

    def is_foreign(self, record: Record) -> bool:
        """Whether the record shows that the topic is not the one that was read before."""
        place = self._places[record.topic]
        if record.topic not in self._unproved or place.last is None:
            return False
        offset, known = place.last
        if record.offset < offset:
            return False
        self._unproved.discard(record.topic)
        return record.offset != offset or _hash(record) != known

    def admits(self, record: Record) -> bool:
        """Take note of the record; whether it is new, or a piece that had not ended."""
        place = self._places[record.topic]
        if record.offset < place.next:
            return record.offset in self._resumed[record.topic]
        place.next = record.offset + 1
        place.last = (record.offset, _hash(record))
        self._changed = True
        origin = ORIGIN.fullmatch(record.headers.get("ce_id", ""))
        if origin is None:
            return True
        number = (int(origin["position"]), int(origin["index"]))
        if number <= place.taken.get(origin["source"], (-1, -1)):
            return False
        place.taken[origin["source"]] = number
        return True

    def begin(self, topic: str, offset: int) -> None:
        """The record is a piece of work, to be read again until ``settle``."""
        open = self._places[topic].open
        if offset not in open:
            open.append(offset)
        self._changed = True

    def settle(self, topic: str, offset: int) -> None:
        """The piece has ended and its reports are in the log."""
        open = self._places[topic].open
        if offset in open:
            open.remove(offset)
        self._changed = True

    def reached(self) -> dict[str, int]:
        """For each topic the offset after the last record read."""
        return {topic: place.next for topic, place in self._places.items()}

    def save(self) -> bool:
        """Keep the places as they are now; whether there was anything new."""
        if not self._changed:
            return False
        self._changed = False
        self._keeper.save(msgspec.json.encode(self._places))
        return True


def _hash(record: Record) -> str:
    return chain_hash(record.key, record.value, record.headers)


def _decoded(content: bytes | None) -> dict[str, Place]:
    if content is None:
        return {}
    try:
        return msgspec.json.decode(content, type=dict[str, Place])
    except msgspec.DecodeError:
        return {}  # torn or of another version: as good as lost
