"""A log whose writes are timed; everything else passes through."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from events.log.contract import (
    Commit,
    Journal,
    Log,
    LogError,
    Outgoing,
    Polled,
    Reader,
    Topic,
    TopicPartition,
    Worker,
)


class Observer(Protocol):
    """Told of each write; ``meters.LogMeters``."""

    def wrote(self, kind: str, outcome: str, records: int, seconds: float) -> None:
        """An ``append`` or ``transact`` ended: ok, or the name of what it raised."""


class MeasuredLog:
    """A ``contract.Log`` that tells ``observer`` of every write to ``log``."""

    def __init__(self, log: Log, observer: Observer) -> None:
        self._log = log
        self._observer = observer
        self.record_bytes_max = log.record_bytes_max
        # What is not a write is the log's own, at no cost.
        self.identity = log.identity
        self.partitions = log.partitions
        self.settled_end = log.settled_end
        self.ends = log.ends
        self.begin_term = log.begin_term
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

    def member(self, group: str, topics: Sequence[str]) -> Worker:
        """See the contract."""
        return MeasuredWorker(self._log.member(group, topics), self._observer)

    def fixed(self, name: str, sources: Sequence[TopicPartition]) -> Worker:
        """See the contract."""
        return MeasuredWorker(self._log.fixed(name, sources), self._observer)


class MeasuredWorker:
    """A ``contract.Worker`` whose transactions are timed."""

    def __init__(self, worker: Worker, observer: Observer) -> None:
        self._worker = worker
        self._observer = observer
        self.ready = worker.ready
        self.rewind = worker.rewind
        self.wake = worker.wake
        self.close = worker.close

    def poll(self, timeout_s: float, records_max: int = 500) -> Polled:
        """See the contract."""
        return self._worker.poll(timeout_s, records_max)

    def transact(self, records: Sequence[Outgoing], offsets: Mapping[TopicPartition, int]) -> None:
        """See the contract."""
        began = time.perf_counter()
        outcome = "ok"
        try:
            self._worker.transact(records, offsets)
        except LogError as error:
            outcome = type(error).__name__
            raise
        finally:
            elapsed = time.perf_counter() - began
            self._observer.wrote("transact", outcome, len(records), elapsed)
