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
    Reader,
    Topic,
    TopicPartition,
)


class Observer(Protocol):
    """Told of each write; ``meters.LogMeters``."""

    def wrote(self, kind: str, outcome: str, records: int, seconds: float) -> None:
        """An ``append`` or ``commit`` ended: ok, or the name of what went wrong."""


class MeasuredLog:
    """A ``contract.Log`` that tells ``observer`` of every write to ``log``."""

    def __init__(self, log: Log, observer: Observer) -> None:
        self._log = log
        self._observer = observer
        self.record_bytes_max = log.record_bytes_max
        # What is not a write is the log's own, at no cost.
        self.identity = log.identity
        self.partitions = log.partitions
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
