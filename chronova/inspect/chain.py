"""Is the log what it was? Walks every journal and checks that each event follows what lies before.

A record that was changed, dropped, swapped or inserted breaks the hash chain at the next event; the
first one that does not fit is named. Walking from the first record proves all that was read;
walking from a later moment takes the first event on trust.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from events import topics
from events.log.chain import BrokenChain, Link, Walk
from events.log.contract import Log, Reader, Record, TopicPartition
from events.log.records import BadRecord, stamp_of
from events.log.terms import TERM, begins_term, is_control

RECORDS_MAX = 2000
QUIET_S_MAX = 10.0


class Walked(msgspec.Struct, frozen=True):
    """One partition. ``records``: how many were read, ``events``: how many of them count.
    ``offset`` and ``reason``: the first record that does not fit, None and empty when all do."""

    partition: str
    records: int
    events: int
    offset: int | None = None
    reason: str = ""


def journals(log: Log) -> list[TopicPartition]:
    """Return all partitions of all events."""
    names = [topics.events(domain) for domain in topics.DOMAINS]
    return [(name, number) for name in names for number in range(log.partitions(name))]


def spans(
    log: Log, since: int | None, until: int | None
) -> dict[TopicPartition, tuple[int | None, int]]:
    """Return for each journal the offset to begin with (None: the first) and the one to end before.

    ``since``, ``until``: append times in microseconds since 1970; None: the whole log.
    """
    sources = journals(log)
    reader = log.reader(dict.fromkeys(sources, 0))
    try:
        ends = reader.ends()
    finally:
        reader.close()
    found: dict[TopicPartition, tuple[int | None, int]] = {}
    for source in sources:
        end = ends[source]
        start = None if since is None else log.offset_at(source, since)
        if since is not None and start is None:
            start = end
        if until is not None and (after := log.offset_at(source, until + 1)) is not None:
            end = min(end, after)
        found[source] = (start, end)
    return found


def verify(
    log: Log, source: TopicPartition, start: int | None, end: int, progress: Callable[[int], None]
) -> Walked:
    """Walk one journal from ``start`` (None: the first record) to before ``end``.

    ``progress(offsets)`` is called with how many offsets were passed. Raises ``LogError``.
    """
    reader = log.reader({source: start or 0})
    try:
        return _Journal(reader, source, start, end, progress).walk()
    finally:
        reader.close()


class _Journal:
    def __init__(
        self,
        reader: Reader,
        source: TopicPartition,
        start: int | None,
        end: int,
        progress: Callable[[int], None],
    ) -> None:
        self._reader = reader
        self._source = source
        self._end = end
        self._progress = progress
        self._walk = Walk({source: Link(offset=start or 0)})
        self._trusting = start is not None
        self._term = ""
        self._records = self._events = 0

    def walk(self) -> Walked:
        """Read to the end, or to the first record that does not fit."""
        name = f"{self._source[0]}/{self._source[1]}"
        while (at := self._reader.positions()[self._source]) < self._end:
            records = self._reader.poll(QUIET_S_MAX, RECORDS_MAX)
            passed = self._reader.positions()[self._source]
            if not records and passed == at:
                reason = f"nothing can be read from offset {at} on, and the end is {self._end}"
                return Walked(name, self._records, self._events, at, reason)
            broken = self._take([record for record in records if record.offset < self._end])
            if broken is not None:
                return Walked(name, self._records, self._events, *broken)
            self._progress(min(passed, self._end) - at)
        return Walked(name, self._records, self._events)

    def _take(self, records: Sequence[Record]) -> tuple[int, str] | None:
        """The first record that does not fit, and why; None when all do."""
        for record in records:
            self._records += 1
            if self._trusting:
                self._trust(record)
            try:
                self._events += self._walk.take(record) is not None
            except BrokenChain as error:
                return record.offset, str(error)
        return None

    def _trust(self, record: Record) -> None:
        """Begin with this event as if all before it were well. Until a term has begun, a void
        record cannot be told from the last ones of a term: so a newer term begins again."""
        link = self._walk.links[self._source]
        if is_control(record):
            self._trusting = not (begins_term(record) and link.position)
            return
        term = record.headers.get(TERM, "")
        known = str(link.term) if link.term is not None else self._term
        if link.position and (len(term), term) <= (len(known), known):
            return
        if link.term is not None and term != known:
            return
        try:
            stamp = stamp_of(record)
        except BadRecord:
            return
        self._term = term
        self._trusting = link.term is None
        begun = Link(record.offset, stamp.position - 1, link.term, stamp.previous_hash)
        self._walk.links[self._source] = begun
