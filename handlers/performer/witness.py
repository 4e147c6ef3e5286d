"""Tell that the log went back: it was restored from a copy older than what this host wrote.

A host may write to topics that it may not read. So it keeps the offset of its last record in each
partition. A log that ends before one of them, or gives a record a lower one, went back. A host that
was away for long cannot tell: the log may have grown past those offsets again. It is then taken for
gone back too, which costs a second reading of the host's work and nothing else.

Offsets of the last second may be lost with the process: a copy is older than that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import structlog

from events.log.contract import Log, Outgoing, TopicMismatch, TopicPartition, partition_of
from handlers.performer.bookmark import Keeper

SAVE_EVERY = 1_000_000
"""Microseconds between two writes of the file."""

AWAY_MAX = 3600 * 1_000_000
"""Microseconds without a record of this host, after which its offsets prove nothing."""

logger = structlog.get_logger("performer")


class LogWentBack(Exception):
    """The log lost what this host wrote. The process must end: its next start reads all again."""


class Appender(Protocol):
    """Where records are written."""

    def append(self, records: Sequence[Outgoing], timeout_s: float = 10.0) -> Sequence[int]:
        """See ``events.log.contract.Log``."""


class Written(msgspec.Struct):
    """``offsets``: of the last record written, by ``topic/partition``. ``at``: when that was."""

    offsets: dict[str, int] = {}
    at: int = 0


class Witness:
    """Writes a host's records to ``log`` and remembers where they lie. Thread-safe.

    Ask ``went_back`` before the first ``append``.
    """

    def __init__(
        self, log: Log, keeper: Keeper, clock: Callable[[], int], save_every: int = SAVE_EVERY
    ) -> None:
        self._log = log
        self._keeper = keeper
        self._clock = clock
        self._save_every = save_every
        self._lock = threading.Lock()
        self._written = _decoded(keeper.load())
        self._saved_at = 0
        self._back = ""

    def went_back(self) -> bool:
        """Whether the log may have lost what was written. Raises ``LogError``."""
        written = self._written
        if not written.offsets:
            return False
        if self._clock() - written.at > AWAY_MAX:
            logger.warning("log_may_have_gone_back", reason="this host was away for long")
        elif lost := self._lost(written):
            logger.warning("log_went_back", partitions=lost)
        else:
            return False
        self._written = Written()
        return True

    def _lost(self, written: Written) -> list[str]:
        known = {_source(name): offset for name, offset in written.offsets.items()}
        try:
            ends = self._log.ends(list(known))
        except TopicMismatch:
            return sorted(written.offsets)
        return [f"{source[0]}/{source[1]}" for source in known if ends[source] <= known[source]]

    def append(self, records: Sequence[Outgoing], timeout_s: float = 10.0) -> Sequence[int]:
        """Write the records. Raises ``LogWentBack`` beside what the log raises, from the first time
        on: it is kept for the next process, by when the log may be as long as it was."""
        if self._back:
            raise LogWentBack(self._back)
        offsets = self._log.append(records, timeout_s)
        last: dict[str, int] = {}
        for record, offset in zip(records, offsets, strict=True):
            name = f"{record.topic}/{self._partition(record)}"
            last[name] = max(offset, last.get(name, offset))
        with self._lock:
            for name, offset in last.items():
                before = self._written.offsets.get(name, -1)
                # Two threads may append at once: the later one may come here first.
                if offset < before and self._log.ends([_source(name)])[_source(name)] <= before:
                    self._back = f"{name} went back from offset {before} to {offset}"
                    self._written.at = 0
                    self._save()
                    raise LogWentBack(self._back)
                self._written.offsets[name] = max(before, offset)
            self._written.at = self._clock()
            if not 0 <= self._written.at - self._saved_at < self._save_every:
                self._save()
        return offsets

    def save(self) -> None:
        """Keep what is known, at the end of the process."""
        with self._lock:
            if self._written.offsets and not self._back:
                self._save()

    def _save(self) -> None:
        self._saved_at = self._written.at
        try:
            self._keeper.save(msgspec.json.encode(self._written))
        except OSError as error:
            logger.warning("witness_not_saved", reason=str(error))

    def _partition(self, record: Outgoing) -> int:
        if record.partition is not None:
            return record.partition
        return partition_of(record.key, self._log.partitions(record.topic))


def _source(name: str) -> TopicPartition:
    topic, _, partition = name.rpartition("/")
    return (topic, int(partition))


def _decoded(content: bytes | None) -> Written:
    if content is None:
        return Written()
    try:
        return msgspec.json.decode(content, type=Written)
    except msgspec.DecodeError:
        return Written()  # torn, or of another version
