"""A log whose writes are timed; everything else passes through. Before the first one something may
be done: the schemas that a role writes with are put there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from events.log.contract import (
    Commit,
    Journal,
    Log,
    LogError,
    Outgoing,
    Reader,
    Topic,
    TopicPartition,
)


class Observer(Protocol):
    """Told of each write; ``meters.LogMeters``."""

    def wrote(self, kind: str, outcome: str, records: int, seconds: float) -> None:
        """An ``append`` or ``commit`` ended: ok, or the name of what went wrong."""


class MeasuredLog:
    """A ``contract.Log`` that tells ``observer`` of every write to ``log``.

    ``before``: what is to be done with the log before the first write. Where it raises nothing is
    written, and the next write does it again.
    """

    def __init__(
        self, log: Log, observer: Observer, before: Callable[[Log], object] | None = None
    ) -> None:
        self._before = before
        self._beginning = threading.Lock()
        self._log = log
        self._observer = observer
        self.record_bytes_max = log.record_bytes_max
        self.commit_bytes_max = log.commit_bytes_max
        # What is not a write is the log's own, at no cost.
        self.identity = log.identity
        self.partitions = log.partitions
        self.ends = log.ends
        self.membership = log.membership
        self.offset_at = log.offset_at
        self.ping = log.ping
        self.close = log.close

    def create_topics(self, topics: Sequence[Topic]) -> Sequence[str]:
        """See the contract."""
        return self._log.create_topics(topics)

    def reader(self, start: Mapping[TopicPartition, int]) -> Reader:
        """See the contract."""
        return self._log.reader(start)

    def append(self, records: Sequence[Outgoing], timeout_s: float = 10.0) -> Sequence[int]:
        """See the contract."""
        self._begin()
        began = time.perf_counter()
        outcome = "ok"
        try:
            return self._log.append(records, timeout_s)
        except LogError as error:
            outcome = type(error).__name__
            raise
        finally:
            elapsed = time.perf_counter() - began
            self._observer.wrote("append", outcome, len(records), elapsed)

    def begin_term(
        self, source: TopicPartition, record: Outgoing, timeout_s: float = 10.0
    ) -> Journal:
        """See the contract."""
        self._begin()
        return self._log.begin_term(source, record, timeout_s)

    def _begin(self) -> None:
        if self._before is not None:
            with self._beginning:
                if self._before is not None:
                    self._before(self._log)
                    self._before = None

    def commit(
        self, appends: Sequence[tuple[Journal, Sequence[Outgoing]]], timeout_s: float = 10.0
    ) -> Sequence[Commit]:
        """See the contract."""
        began = time.perf_counter()
        outcomes = self._log.commit(appends, timeout_s)
        elapsed = time.perf_counter() - began
        for (_, records), outcome in zip(appends, outcomes, strict=True):
            name = "ok" if isinstance(outcome, int) else type(outcome).__name__
            self._observer.wrote("commit", name, len(records), elapsed)
        return outcomes
