"""Journals of a Kafka log: one batch to each partition, under the epoch of its owner's term.

A journal's producer id is that of the transactional id ``<topic>/<partition>``, of which only
``InitProducerId`` is used: each term takes its next epoch. There are no transactions. A broker
refuses batches of an older epoch once one of a newer has been written.

The guarantee does not rest on that, for a broker forgets an idle producer's epoch. Offsets of
a journal are dense, so a writer knows where its next batch must lie. Where it lies further on,
what is in between is read: with a term's beginning there, the batch counts for nobody.

Whatever does not end with a known outcome ends the journal; its owner begins another term and
reads what the partition has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import kafka.errors as errors

from events.log.contract import (
    Commit,
    Fenced,
    Journal,
    LogError,
    LogUnavailable,
    Outgoing,
    RecordTooLarge,
    TopicPartition,
)
from events.log.kafka_connection import Connection, Deadline, unavailable
from events.log.kafka_produce import (
    TOO_LARGE,
    Outcome,
    Producer,
    Sending,
    new_producer,
    produce,
    too_large,
)
from events.log.kafka_records import Batch, whole_batch
from events.log.kafka_search import Written, search

_COMMIT = "write to a journal"


class KafkaJournal:
    """``contract.Journal``."""

    def __init__(self, source: TopicPartition, term: int, producer: Producer) -> None:
        self.source = source
        self.term = term
        self.producer = producer
        self.next = term + 1
        """The offset of the next batch, if nobody else writes."""
        self.ended: LogError | None = None
        """Why it writes no more."""


class _Append(NamedTuple):
    journal: KafkaJournal
    batch: Batch
    name: Written


def begin_term(
    connection: Connection, source: TopicPartition, record: Outgoing, timeout_s: float
) -> KafkaJournal:
    """See the contract."""
    batch = whole_batch([record])
    return connection.run("begin a term", timeout_s, _begin, connection, source, batch)


def commit(
    connection: Connection,
    appends: Sequence[tuple[Journal, Sequence[Outgoing]]],
    timeout_s: float,
) -> list[Commit]:
    """See the contract."""
    outcomes: dict[TopicPartition, Commit] = {}
    going: dict[TopicPartition, _Append] = {}
    for journal, records in appends:
        assert journal.source not in going, "a journal stands in a commit once"
        try:
            going[journal.source] = _checked(journal, records)
        except LogError as error:
            outcomes[journal.source] = error
    for append in going.values():  # until it is known to be otherwise
        append.journal.ended = LogUnavailable("its last append has no known outcome")
    if going:
        try:
            judged = connection.run(_COMMIT, timeout_s, _commit, connection, going)
        except LogError as error:
            judged = dict.fromkeys(going, error)
        for source, outcome in judged.items():
            outcomes[source] = _settled(going[source], outcome)
    return [outcomes[journal.source] for journal, _ in appends]


def _checked(journal: Journal, records: Sequence[Outgoing]) -> _Append:
    assert isinstance(journal, KafkaJournal)
    assert records, "an append has records"
    if journal.ended is not None:
        raise Fenced(f"this writer of {journal.source[0]}/{journal.source[1]} has ended")
    batch = whole_batch(records)
    producer = journal.producer
    sequence = producer.sequences.get(journal.source, 0)
    return _Append(journal, batch, Written(producer.id, producer.epoch, sequence))


def _settled(append: _Append, outcome: Commit) -> Commit:
    """Note on the journal how its append ended."""
    journal = append.journal
    if isinstance(outcome, int):
        journal.next = outcome + len(append.batch)
    if isinstance(outcome, int | RecordTooLarge):  # what is Unstorable was not sent
        journal.ended = None
    else:
        journal.ended = outcome
    return outcome


async def _begin(
    connection: Connection, source: TopicPartition, batch: Batch, deadline: Deadline
) -> KafkaJournal:
    await connection.leader(source, deadline)  # no ids for partitions that are not there
    producer = await new_producer(connection, deadline, f"{source[0]}/{source[1]}")
    outcome = (await produce(connection, {source: Sending(producer, batch)}, deadline))[source]
    if isinstance(outcome, int):
        return KafkaJournal(source, outcome, producer)
    if isinstance(outcome, TOO_LARGE):
        raise too_large(outcome)
    raise outcome


async def _commit(
    connection: Connection, going: Mapping[TopicPartition, _Append], deadline: Deadline
) -> dict[TopicPartition, Commit]:
    wave = {source: Sending(each.journal.producer, each.batch) for source, each in going.items()}
    outcomes = await produce(connection, wave, deadline)
    return {
        source: await _judged(connection, going[source], outcome, deadline)
        for source, outcome in outcomes.items()
    }


async def _judged(
    connection: Connection, append: _Append, outcome: Outcome, deadline: Deadline
) -> Commit:
    """What an outcome of the request means for the journal."""
    journal = append.journal
    if isinstance(outcome, LogError):
        return outcome
    if isinstance(outcome, TOO_LARGE):
        return too_large(outcome)
    if isinstance(outcome, errors.RetriableError):  # tried until the time was over
        return unavailable(_COMMIT, outcome)
    try:
        if not isinstance(outcome, int):
            return await _found(connection, append, outcome, deadline)
        if outcome < journal.next:
            return unavailable(_COMMIT, f"{journal.source} has lost records")
        if outcome > journal.next:
            between = (journal.next, outcome)
            found = await search(connection, journal.source, *between, append.name, deadline)
            if isinstance(found, int):
                return unavailable(_COMMIT, f"{journal.source} has a batch twice")
            return found or outcome
    except errors.KafkaError as error:
        return unavailable(_COMMIT, error)
    return outcome


async def _found(
    connection: Connection, append: _Append, refusal: errors.KafkaError, deadline: Deadline
) -> Commit:
    """Whether a refused batch has been written all the same, by an earlier try.

    Where it has not, it may still be on its way, unless a later term has begun.
    """
    journal = append.journal
    found = await search(connection, journal.source, journal.next, None, append.name, deadline)
    if found is None:
        return unavailable(_COMMIT, refusal)
    return found
