"""Partitions of a follower that wait: which, why, and when they are tried again.

Each wait is told once, in the log and in the build's table (``projections.aside``), however often
it is tried. A partition whose term did not begin where the build has read its beginning is of
another log than the build: it is not tried again, for its records would look like those of an old
owner.
"""

from __future__ import annotations

import time

import structlog

from events.log.contract import LATEST, Log, Reader, TopicPartition
from events.log.terms import begins_term
from projections import aside
from projections.aside import Waiting
from projections.builds import Places
from projections.connection import Connection
from projections.failures import BrokenPartition, ChainBroken

CHECK_S_MAX = 10.0

logger = structlog.get_logger("projector")


class Waits:
    """The waits of the build in ``schema``, of the partitions in ``places``."""

    def __init__(
        self,
        connection: Connection,
        schema: str,
        places: Places,
        log: Log,
        reader: Reader,
        retry_s: float,
    ) -> None:
        self.current: dict[TopicPartition, BrokenPartition] = {}
        self._connection = connection
        self._schema = schema
        self._places = places
        self._reader = reader
        self._retry_s = retry_s
        self._retry_at = time.monotonic() + retry_s
        self._noted = {
            one.source: one.offset
            for one in aside.waiting(connection, schema)
            if one.source in places
        }
        self._of_another_log = _terms_that_are_not_there(log, places)
        for source, error in self._of_another_log.items():
            self.begin(source, error)

    def begin(self, source: TopicPartition, error: BrokenPartition) -> None:
        """The partition waits from now on: what the log holds of it is not read meanwhile."""
        self.current[source] = error
        self._reader.seek(source, self._reader.ends()[source])
        if self._noted.get(source) == error.offset:
            return
        logger.error("partition_waits", partition=f"{source[0]}/{source[1]}", reason=str(error))
        one = Waiting(*source, error.offset, str(error), time.time_ns() // 1000)
        aside.note_waiting(self._connection, self._schema, one)
        self._noted[source] = error.offset

    def forget_passed(self) -> None:
        """Forget the notes about partitions that are past the record at which they waited."""
        passed = [s for s, offset in self._noted.items() if self._places[s].offset > offset]
        if passed:
            aside.forget_waiting(self._connection, self._schema, passed)
        for source in passed:
            logger.info("partition_goes_on", partition=f"{source[0]}/{source[1]}")
            del self._noted[source]

    def try_again(self) -> None:
        """When it is time, have the records be read again at which partitions wait."""
        if not self.current or time.monotonic() < self._retry_at:
            return
        for source in self.current.keys() - self._of_another_log.keys():
            self._reader.seek(source, self._places[source].offset)
        self.current = dict(self._of_another_log)
        self._retry_at = time.monotonic() + self._retry_s


def _terms_that_are_not_there(log: Log, places: Places) -> dict[TopicPartition, BrokenPartition]:
    """The partitions in which the current term's beginning is not where it was read."""
    begun = {source: at.term for source, at in places.items() if at.term is not None}
    if not begun:
        return {}
    found: dict[TopicPartition, BrokenPartition] = {}
    open_sources = set(begun)
    reader = log.reader(begun)
    deadline = time.monotonic() + CHECK_S_MAX
    try:
        while open_sources and time.monotonic() < deadline:
            for record in reader.poll(0.5):
                source = record.source
                if source not in open_sources:
                    continue
                open_sources.remove(source)
                reader.seek(source, LATEST)
                if record.offset != begun[source] or not begins_term(record):
                    found[source] = ChainBroken(
                        f"{source[0]}/{source[1]} has no beginning of a term at offset"
                        f" {begun[source]}, where the projection has read one: the log was"
                        " restored from another copy; run `chronova projection rebuild`",
                        places[source].offset,
                    )
    finally:
        reader.close()
    return found
