"""Reports on their way to the log.

Reports are appended in the order in which they were made. One that the log refuses does not stop
the others: it is set aside and tried again, or dropped when it can never be written.

While the outbox is full, of either, no new work is begun, and what is said again later (progress,
power states) is left out. So its size is bounded also while the log is away, for however long: what
is put beyond that is what work under way has still to say, which is never dropped.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

import structlog

from events.log.contract import LogError, LogUnavailable, Outgoing, RecordTooLarge, Unstorable
from handlers.performer.witness import Appender

RECORDS_MAX = 10_000
BYTES_MAX = 16 << 20
"""Beyond either, of what waits and what was set aside, nothing new is begun."""

BATCH_RECORDS, BATCH_BYTES = 500, 512 << 10
ASIDE_MAX = 1000
RETRY_EVERY = 50
"""Flushes between two tries of what was set aside; about a minute of an idle loop."""

logger = structlog.get_logger("performer")


Instead = Callable[[], Outgoing | None]
"""Gives a smaller record in place of one that is too large for the log."""


class Waiting(NamedTuple):
    """A record that waits to be written."""

    record: Outgoing
    instead: Instead | None


class Outbox:
    """Holds reports until the log has them. ``put`` and ``offer`` from any thread, ``flush`` from
    one."""

    def __init__(self, log: Appender) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._records: deque[Waiting] = deque()
        self._bytes = 0
        self._aside: deque[Waiting] = deque()
        self._flushes = 0
        self._settled = 0
        """Of the batch at hand, how many were written or refused: its first ones."""

    def put(self, record: Outgoing, instead: Instead | None = None) -> None:
        """Have the record written by a later ``flush``, however much waits."""
        with self._lock:
            self._add(Waiting(record, instead))

    def offer(self, record: Outgoing) -> bool:
        """The same for what is said again later: while the outbox is full it is left out. Whether
        it was taken."""
        with self._lock:
            if self._full():
                return False
            self._add(Waiting(record, None))
            return True

    def full(self) -> bool:
        """Whether nothing new should be begun."""
        with self._lock:
            return self._full()

    def _full(self) -> bool:
        crowded = len(self._records) >= RECORDS_MAX or len(self._aside) >= ASIDE_MAX
        return crowded or self._bytes >= BYTES_MAX

    def _add(self, waiting: Waiting) -> None:
        self._records.append(waiting)
        self._bytes += len(waiting.record.value)

    def empty(self) -> bool:
        """Whether nothing waits to be written, but for what was set aside."""
        with self._lock:
            return not self._records

    def all_written(self) -> bool:
        """Whether nothing waits at all."""
        with self._lock:
            return not self._records and not self._aside

    def flush(self) -> None:
        """Write what is there. Raises ``LogUnavailable``: then the rest is kept."""
        self._flushes += 1
        if self._flushes % RETRY_EVERY == 0:
            self._try_again()
        with self._lock:
            until = len(self._records)
        while until > 0:
            batch = self._batch(until)
            self._settled = 0
            try:
                self._write(batch)
            finally:  # of a batch in parts the first ones, also where the log goes away then
                for _ in range(self._settled):
                    with self._lock:
                        waiting = self._records.popleft()
                    self._count_out(waiting)
            until -= len(batch)

    def _count_out(self, waiting: Waiting) -> None:
        """It waits no more where it did; ``_refused`` has counted it anew where it set it aside."""
        with self._lock:
            self._bytes -= len(waiting.record.value)

    def _try_again(self) -> None:
        for _ in range(len(self._aside)):
            waiting = self._aside.popleft()
            try:
                self._write_one(waiting)
            except LogUnavailable:
                self._aside.appendleft(waiting)
                raise
            self._count_out(waiting)

    def _batch(self, until: int) -> list[Waiting]:
        batch: list[Waiting] = []
        size = 0
        with self._lock:
            for waiting in islice(self._records, min(until, BATCH_RECORDS)):
                size += len(waiting.record.value)
                if batch and size > BATCH_BYTES:
                    break
                batch.append(waiting)
        return batch

    def _write(self, batch: Sequence[Waiting]) -> None:
        """Write the batch; where the log refuses it, its halves, down to the single record."""
        if len(batch) == 1:
            self._write_one(batch[0])
            self._settled += 1
            return
        try:
            self._log.append([waiting.record for waiting in batch])
        except LogUnavailable:
            raise
        except LogError:
            middle = len(batch) // 2
            self._write(batch[:middle])
            self._write(batch[middle:])
        else:
            self._settled += len(batch)

    def _write_one(self, waiting: Waiting) -> None:
        try:
            self._log.append([waiting.record])
        except LogUnavailable:
            raise
        except LogError as error:
            self._refused(waiting, error)

    def _refused(self, waiting: Waiting, error: LogError) -> None:
        record = waiting.record
        kind = record.headers.get("ce_type", "?")
        if isinstance(error, Unstorable):
            logger.error("report_dropped", report=kind, topic=record.topic, reason=str(error))
            return
        if not isinstance(error, RecordTooLarge):
            logger.error("report_refused", report=kind, topic=record.topic, reason=str(error))
            self._aside.append(waiting)
            with self._lock:
                self._bytes += len(record.value)
            return
        logger.error("report_too_large", report=kind, bytes=len(record.value))
        smaller = waiting.instead() if waiting.instead is not None else None
        if smaller is not None:
            self._write_one(Waiting(smaller, None))
