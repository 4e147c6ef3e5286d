"""Reading: what a reader and a member have in common, and the reader.

A position is the offset to be returned next. Since offsets are gapless and an uncommitted
record is invisible while later ones of its partition cannot exist yet, going by position reads
every committed record once, in order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from events.log.contract import EARLIEST, LATEST, LogUnavailable, Record, TopicPartition
from events.log.postgres_batch import decode_rows, fetch_call
from events.log.postgres_connection import Pool, Row
from events.log.postgres_listener import Listener, Watch

PARTITION_BYTES_MAX = 16 << 20
"""What one fetch may bring of one partition; bounds the memory that big records take."""

RETRY_S = 0.1


class Feed:
    """Positions in some partitions, and the fetching from there. One thread's."""

    def __init__(self, pool: Pool, listener: Listener, watch: Watch, statement_s: float) -> None:
        self.positions: dict[int, int] = {}
        self._pool = pool
        self._listener = listener
        self._watch = watch
        self._statement_s = statement_s
        self._sources: dict[int, TopicPartition] = {}
        self._probed: set[int] = set()
        self._turn = 0

    def follow(self, part: int, source: TopicPartition, position: int) -> None:
        """Read this partition too, or go on at another position."""
        self._sources[part] = source
        self.positions[part] = position
        self._probed.discard(part)
        self._watch.parts = frozenset(self.positions)

    def drop(self, part: int) -> None:
        """Read this partition no more."""
        if self.positions.pop(part, None) is not None:
            self._watch.parts = frozenset(self.positions)

    def fetch(self, records_max: int) -> list[Record]:
        """What there is; asks the database only about partitions that have or may have news."""
        ends = self._listener.ends
        wanted = [
            part
            for part, position in self.positions.items()
            # Ends that were heard for an earlier reader may be old: so each part is asked for once.
            if part not in self._probed or ends.get(part, 0) > position
        ]
        if not wanted:
            return []
        self._turn += 1  # so that a busy partition starves no other
        turn = self._turn % len(wanted)
        rows: list[Row] = []
        order = {}
        for part in wanted[turn:] + wanted[:turn]:
            heard = self._listener.tail.take(part, self.positions[part], records_max - len(rows))
            rows += heard
            if not heard:
                order[part] = self.positions[part]
        if order and len(rows) < records_max:
            rows += self._fetched(order, records_max - len(rows))
        for row in rows:
            self.positions[row[0]] = row[1] + 1
        return decode_rows(rows, self._sources)

    def _fetched(self, order: Mapping[int, int], records_max: int) -> list[Row]:
        known = {part: self._listener.ends.get(part, 0) for part in order}
        rows = self._pool.run(
            fetch_call(order, records_max, PARTITION_BYTES_MAX), self._statement_s
        )
        if len(rows) < records_max:
            self._probed.update(order)
            reached = {row[0] for row in rows}
            for part, position in order.items():
                if part not in reached:  # retention has taken all before the end
                    self.positions[part] = max(position, known[part])
        return rows

    def wait(self, deadline: float) -> bool:
        """Until the bell has rung; False: the time was over."""
        return self._watch.bell.wait(max(0.0, deadline - time.monotonic()))


class PostgresReader:
    """``contract.Reader``."""

    def __init__(
        self,
        feed: Feed,
        watch: Watch,
        listener: Listener,
        parts: Mapping[TopicPartition, int],
        fetch_ends: Callable[[Iterable[int]], dict[int, int]],
    ) -> None:
        self._feed = feed
        self._watch = watch
        self._listener = listener
        self._parts = parts
        self._fetch_ends = fetch_ends

    def poll(self, timeout_s: float, records_max: int = 1000) -> Sequence[Record]:
        """See the contract. Raises ``LogUnavailable`` when the log was away all the time."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._watch.bell.clear()
            try:
                records = self._feed.fetch(records_max)
            except LogUnavailable:
                if not retry(self._watch, deadline):
                    raise
                continue
            if records or self._watch.woken or not self._feed.wait(deadline):
                self._watch.woken = False
                return records

    def seek(self, source: TopicPartition, offset: int) -> None:
        """See the contract; LATEST asks the database."""
        part = self._parts[source]
        if offset == LATEST:
            offset = self._fetch_ends([part])[part]
        self._feed.follow(part, source, max(EARLIEST, offset))

    def ends(self) -> Mapping[TopicPartition, int]:
        """See the contract."""
        ends = self._fetch_ends(self._parts.values())
        return {source: ends[part] for source, part in self._parts.items()}

    def positions(self) -> Mapping[TopicPartition, int]:
        """See the contract."""
        return {source: self._feed.positions[part] for source, part in self._parts.items()}

    def wake(self) -> None:
        """See the contract."""
        self._watch.wake()

    def close(self) -> None:
        """See the contract."""
        self._listener.remove(self._watch)


def retry(watch: Watch, deadline: float) -> bool:
    """After a failure: wait a little; False when woken or out of time."""
    left_s = deadline - time.monotonic()
    if left_s <= 0 or watch.woken:
        watch.woken = False
        return False
    watch.bell.wait(min(RETRY_S, left_s))
    return True
