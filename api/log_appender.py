"""Group commit: appends of many threads go to the log in few writes.

Whoever comes first writes; those who come meanwhile wait together, and the first of them writes
for all. So a lone request waits for nobody, and a crowd costs one round trip for each crowd.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from events.log.contract import Log, LogError, LogUnavailable, Outgoing, RecordTooLarge

RECORDS_MAX = 200
BYTES_MAX = 8 << 20
WRITES_S_MIN = 1.0
"""For a write whose first record has waited almost all its time: others wait for it too."""


class _Entry:
    __slots__ = ("done", "error", "leads", "record")

    def __init__(self, record: Outgoing) -> None:
        self.record = record
        self.done = threading.Event()
        self.error: BaseException | None = None
        self.leads = False


class GroupAppender:
    """Appends to ``log``. Thread-safe. Queued are at most as many records as threads wait."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._queue: list[_Entry] = []
        self._writing = False

    def append(self, record: Outgoing, timeout_s: float) -> None:
        """Returns when the record is written. Raises ``RecordTooLarge`` or ``LogUnavailable``
        (unknown: it may be written all the same)."""
        entry = _Entry(record)
        until = time.monotonic() + timeout_s
        with self._lock:
            self._queue.append(entry)
            if not self._writing:
                self._writing = entry.leads = True
        if not entry.leads and not entry.done.wait(timeout_s):
            self._give_up(entry)
        if entry.leads:  # perhaps only now: what was waited does not come on top
            self._write(max(WRITES_S_MIN, until - time.monotonic()))
        if entry.error is not None:
            raise entry.error

    def _give_up(self, entry: _Entry) -> None:
        """The time is over, unless it is just now this entry's turn to write."""
        with self._lock:
            if not entry.leads:
                if entry in self._queue:
                    self._queue.remove(entry)
                entry.error = LogUnavailable("the log did not take the record in time")

    def _write(self, timeout_s: float) -> None:
        with self._lock:
            batch = self._queue[: _fitting(self._queue)]
            del self._queue[: len(batch)]
        try:
            self._append(batch, timeout_s)
        except BaseException as error:
            for entry in batch:
                entry.error = error
            if not isinstance(error, LogError):
                raise
        finally:
            self._hand_over(batch)

    def _append(self, batch: Sequence[_Entry], timeout_s: float) -> None:
        try:
            self._log.append([entry.record for entry in batch], timeout_s)
        except RecordTooLarge as error:
            if len(batch) == 1:
                batch[0].error = error
                return
            # Nothing was written: each for itself, so that only the large one fails.
            for entry in batch:
                self._append([entry], timeout_s)

    def _hand_over(self, batch: Sequence[_Entry]) -> None:
        for entry in batch:
            entry.done.set()
        with self._lock:
            if self._queue:
                self._queue[0].leads = True
                self._queue[0].done.set()
            else:
                self._writing = False


def _fitting(queue: Sequence[_Entry]) -> int:
    """How many of the queue make one write; at least one."""
    total = 0
    for n, entry in enumerate(queue[:RECORDS_MAX]):
        total += len(entry.record.value)
        if total > BYTES_MAX and n:
            return n
    return min(len(queue), RECORDS_MAX)
