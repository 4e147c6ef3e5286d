"""Journals of the log in memory.

A fenced writer's records are written all the same, as a Kafka broker that has forgotten an old
epoch would: readers have to pass over them by their term.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from events.log.contract import (
    Commit,
    Fenced,
    Journal,
    LogError,
    LogUnavailable,
    Outgoing,
    TopicPartition,
)
from events.log.memory_cluster import Cluster


class MemoryJournal:
    """``contract.Journal``."""

    def __init__(self, source: TopicPartition, term: int) -> None:
        self.source = source
        self.term = term
        self.ended: LogError | None = None
        """Why it writes no more."""


def begin_term(cluster: Cluster, process: str, source: TopicPartition, record: Outgoing) -> Journal:
    """See the contract."""
    placed = cluster.check([_in(source, record)])
    fault = cluster.strike("begin_term", process)
    offset = cluster.write(placed)[0]
    cluster.partition(source).term = offset
    cluster.finish(fault, "begin_term", process)
    return MemoryJournal(source, offset)


def commit(
    cluster: Cluster, process: str, appends: Sequence[tuple[Journal, Sequence[Outgoing]]]
) -> list[Commit]:
    """See the contract."""
    return [_committed(cluster, process, journal, records) for journal, records in appends]


def _committed(
    cluster: Cluster, process: str, journal: Journal, records: Sequence[Outgoing]
) -> Commit:
    assert isinstance(journal, MemoryJournal)
    if journal.ended is not None:
        return Fenced(f"this writer of {journal.source[0]}/{journal.source[1]} has ended")
    try:
        placed = cluster.check([_in(journal.source, record) for record in records])
    except LogError as error:
        return error
    try:
        fault = cluster.strike("commit", process)
        first = cluster.write(placed)[0]
        if cluster.partition(journal.source).term != journal.term:
            raise Fenced(f"a later term of {journal.source[0]}/{journal.source[1]} has begun")
        cluster.finish(fault, "commit", process)
    except LogError as error:
        journal.ended = error if isinstance(error, Fenced) else LogUnavailable(str(error))
        return error
    return first


def _in(source: TopicPartition, record: Outgoing) -> Outgoing:
    return msgspec.structs.replace(record, topic=source[0], partition=source[1])
