"""Reports on their way to the log.

Reports are appended in the order in which they were made. One that the log refuses does not stop
the others: it is set aside and tried again, or dropped when it can never be written. While the
outbox is full, of either, no new work is begun, so its size is bounded also while the log is away.
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
"""Beyond either nothing new is begun. What is under way may still add its reports."""

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
    """Holds reports until the log has them. ``put`` from any thread, ``flush`` from one."""

    def __init__(self, log: Appender) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._records: deque[Waiting] = deque()
        self._bytes = 0
        self._aside: deque[Waiting] = deque()
        self._flushes = 0

    def put(self, record: Outgoing, instead: Instead | None = None) -> None:
        """Have the record written by a later ``flush``."""
        with self._lock:
            self._records.append(Waiting(record, instead))
            self._bytes += len(record.value)

    def full(self) -> bool:
        """Whether nothing new should be begun."""
        with self._lock:
            crowded = len(self._records) >= RECORDS_MAX or self._bytes >= BYTES_MAX
            return crowded or len(self._aside) >= ASIDE_MAX

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
            self._write(batch)
            until -= len(batch)
            with self._lock:
                for _ in batch:
                    self._bytes -= len(self._records.popleft().record.value)

    def _try_again(self) -> None:
        for _ in range(len(self._aside)):
            waiting = self._aside.popleft()
            try:
                self._write([waiting])
            except LogUnavailable:
                self._aside.appendleft(waiting)
                raise

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
        try:
            self._log.append([waiting.record for waiting in batch])
        except LogUnavailable:
            raise
        except LogError as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                self._write(batch[:middle])
                self._write(batch[middle:])
            else:
                self._refused(batch[0], error)

    def _refused(self, waiting: Waiting, error: LogError) -> None:
        record = waiting.record
        kind = record.headers.get("ce_type", "?")
        if isinstance(error, Unstorable):
            logger.error("report_dropped", report=kind, topic=record.topic, reason=str(error))
            return
        if not isinstance(error, RecordTooLarge):
            logger.error("report_refused", report=kind, topic=record.topic, reason=str(error))
            self._aside.append(waiting)
            return
        logger.error("report_too_large", report=kind, bytes=len(record.value))
        smaller = waiting.instead() if waiting.instead is not None else None
        if smaller is not None:
            self._write([Waiting(smaller, None)])
