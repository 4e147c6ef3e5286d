"""Journals of the Postgres log: one writer for each partition, as the contract wants it.

The partition's row holds the present term. A commit checks it in the update that also counts up
the offset, so what an older writer sends is refused, not void. A crash halfway leaves the last
committed statement.

Readers go by the records, not by that row. So a writer whose batch does not lie where the last one
ended looks at what lies between: the beginning of a term there, whoever wrote it, ends its own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from events.log.contract import (
    Commit,
    Fenced,
    Journal,
    LogError,
    LogUnavailable,
    Outgoing,
    RecordTooLarge,
    TopicPartition,
    Unstorable,
)
from events.log.postgres_batch import BEGINS, Batch, Place
from events.log.postgres_writer import Writer


class PostgresJournal:
    """``contract.Journal``."""

    def __init__(self, source: TopicPartition, place: Place, term: int) -> None:
        self.source = source
        self.term = term
        self.place = place
        self.next = term + 1
        """Where its next batch lies, if nobody else writes there."""
        self.ended = False

    @property
    def name(self) -> str:
        """As messages say it."""
        return f"{self.source[0]}/{self.source[1]}"


class _Append(NamedTuple):
    """A batch for a journal, and its place among the outcomes."""

    place: int
    journal: PostgresJournal
    batch: Batch


def begin_term(
    writer: Writer, source: TopicPartition, place: Place, record: Outgoing, timeout_s: float
) -> Journal:
    """See the contract."""
    batch = Batch(place, BEGINS)
    batch.add(record, writer.record_bytes_max)
    (term,) = writer.write([batch], timeout_s)
    if term is None:
        raise LogError(f"{source[0]}/{source[1]} is in the log no more")
    return PostgresJournal(source, place, term)


def commit(
    writer: Writer, appends: Sequence[tuple[Journal, Sequence[Outgoing]]], timeout_s: float
) -> list[Commit]:
    """See the contract: one statement for all journals."""
    deadline = time.monotonic() + timeout_s
    outcomes: dict[int, Commit] = {}
    ready: list[_Append] = []
    for index, (journal, records) in enumerate(appends):
        assert isinstance(journal, PostgresJournal)
        if journal.ended:
            outcomes[index] = Fenced(f"this writer of {journal.name} has ended")
            continue
        batch = Batch(journal.place, journal.term)
        try:
            for record in records:
                batch.add(record, writer.record_bytes_max)
        except LogError as error:
            outcomes[index] = error
            continue
        ready.append(_Append(index, journal, batch))
    outcomes |= _written(writer, ready, deadline)
    for index, (journal, _) in enumerate(appends):
        assert isinstance(journal, PostgresJournal)
        journal.ended |= _is_end(outcomes[index])
    return [outcomes[index] for index in range(len(appends))]


def _written(writer: Writer, appends: Sequence[_Append], deadline: float) -> dict[int, Commit]:
    """Write and return the outcomes. What Postgres refuses as a whole is tried journal by
    journal, since it may be the fault of one."""
    if not appends:
        return {}
    try:
        firsts = writer.write(
            [append.batch for append in appends], max(0.001, deadline - time.monotonic())
        )
    except LogError as error:
        if len(appends) == 1 or isinstance(error, LogUnavailable):
            return {append.place: error for append in appends}
        alone = [_written(writer, [append], deadline) for append in appends]
        return {index: outcome for outcomes in alone for index, outcome in outcomes.items()}
    return {
        append.place: _judged(writer, append, first, deadline)
        for append, first in zip(appends, firsts, strict=True)
    }


def _judged(writer: Writer, append: _Append, first: int | None, deadline: float) -> Commit:
    """Return what the place of a batch means for its journal."""
    journal, later = append.journal, f"a later term of {append.journal.name} has begun"
    if first is None:
        return Fenced(later)
    if first < journal.next:
        return LogUnavailable(f"{journal.name} has lost records")
    between = range(journal.next, first)
    journal.next = first + len(append.batch.rows)
    try:
        left_s = max(0.001, deadline - time.monotonic())
        if between and writer.term_begins(journal.place, between, left_s):
            return Fenced(later)
    except LogError as error:
        return LogUnavailable(str(error))
    return first


def _is_end(outcome: Commit) -> bool:
    return isinstance(outcome, LogError) and not isinstance(outcome, RecordTooLarge | Unstorable)
