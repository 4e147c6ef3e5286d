"""Produce requests: batches to the leaders of their partitions, written once however often sent.

What a producer sends to a partition is numbered, and a leader that has it already says so.
So each request is repeated until it is answered or time is over; only then is it unknown
whether a batch was written, and its numbers with it: the producer needs a new id or epoch.
There are no transactions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import kafka.errors as errors
from kafka.protocol.producer import InitProducerIdRequest, ProduceRequest

from events.log.contract import LogError, RecordTooLarge, TopicPartition
from events.log.kafka_connection import Connection, Deadline
from events.log.kafka_records import Batch

REQUEST_BYTES_MAX = 32 << 20
"""Batches of one request together; brokers take 100 MB by default (socket.request.max.bytes)."""

_TRANSACTION_MS = 10_000  # the request must name one; there are no transactions

_SEQUENCES = 1 << 31  # then Kafka counts from 0 again

TOO_LARGE = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError)
"""A broker's words for a batch over its topic's limit: nothing was written."""

Outcome: TypeAlias = int | errors.KafkaError | LogError
"""The offset of a batch's first record, or why it was not written."""


def too_large(error: errors.KafkaError) -> RecordTooLarge:
    """The sentence for an operator about a batch that was refused."""
    return RecordTooLarge(f"Kafka refused a record as too large: {error}.")


class Producer:
    """Who writes: the id, its epoch, and the next number of each partition."""

    def __init__(self, producer_id: int, epoch: int) -> None:
        self.id = producer_id
        self.epoch = epoch
        self.sequences: dict[TopicPartition, int] = {}

    def advance(self, source: TopicPartition, count: int) -> None:
        """Count records that a partition has taken."""
        self.sequences[source] = (self.sequences.get(source, 0) + count) % _SEQUENCES


async def new_producer(connection: Connection, deadline: Deadline, name: str | None) -> Producer:
    """A producer with an id that nobody else has; by the name of a transactional id: with its
    id, and an epoch after all that there were. Names are used for nothing else."""
    while True:
        try:
            node = None if name is None else await connection.id_coordinator(name, deadline)
            request = InitProducerIdRequest(
                transactional_id=name,
                transaction_timeout_ms=_TRANSACTION_MS,
                producer_id=-1,
                producer_epoch=-1,
                max_version=4,
            )
            response = await connection.send(request, deadline, node)
            error = errors.for_code(response.error_code)
            if error is errors.NoError:
                return Producer(response.producer_id, response.producer_epoch)
            raise error()
        except errors.RetriableError as error:
            await connection.pause(deadline, error)


class Sending(NamedTuple):
    """A batch for one partition, and who writes it."""

    producer: Producer
    batch: Batch


Wave: TypeAlias = Mapping[TopicPartition, Sending]


async def produce(
    connection: Connection,
    wave: Wave,
    deadline: Deadline,
    passed: Callable[[Mapping[TopicPartition, Outcome]], None] = lambda outcomes: None,
) -> dict[TopicPartition, Outcome]:
    """Write one batch to each partition; the outcome of each, which is not the others'.

    A ``RetriableError`` as outcome means *unknown*: it was tried until ``deadline``. ``passed`` is
    called with the outcomes so far each time that all that is left was tried.
    """
    outcomes: dict[TopicPartition, Outcome] = {}
    left = dict(wave)
    while left:
        failure: errors.KafkaError | None = None
        try:
            requests = await _by_leader(connection, left, outcomes, deadline)
            posted = [
                (group, connection.post(_request(group), deadline, node))
                for node, group in requests
            ]
            for group, answer in posted:
                failure = await _taken(group, answer, left, outcomes) or failure
            passed(outcomes)
            if failure is not None and left:
                await connection.pause(deadline, failure)
                if isinstance(failure, errors.InvalidMetadataError):
                    await connection.refresh(deadline)
        except errors.KafkaError as error:
            outcomes.update(dict.fromkeys(left, error))
            break
    return outcomes


async def _taken(
    group: Wave,
    answer: Any,
    left: dict[TopicPartition, Sending],
    outcomes: dict[TopicPartition, Outcome],
) -> errors.KafkaError | None:
    """Sort a leader's answer into ``outcomes``; what is worth another try stays in ``left``."""
    try:
        response = await answer
    except errors.RetriableError as error:
        return error
    except errors.KafkaError as error:
        for source in group:
            del left[source]
            outcomes[source] = error
        return None
    failure: errors.KafkaError | None = None
    for source, kind, offset in _answers(response):
        if kind is errors.NoError:
            written = left.pop(source)
            written.producer.advance(source, len(written.batch))
            outcomes[source] = offset
        elif issubclass(kind, errors.RetriableError):
            failure = kind()
        else:
            del left[source]
            outcomes[source] = kind()
    return failure


async def _by_leader(
    connection: Connection,
    left: dict[TopicPartition, Sending],
    outcomes: dict[TopicPartition, Outcome],
    deadline: Deadline,
) -> list[tuple[Any, dict[TopicPartition, Sending]]]:
    """The requests to make, each with its node. What has no partition to go to is settled; what has
    no known leader waits until all others are done, which might lose their time to it."""
    requests: list[tuple[Any, dict[TopicPartition, Sending]]] = []
    latest: dict[Any, tuple[dict[TopicPartition, Sending], int]] = {}
    led = [source for source in left if connection.client.leader_of(source) not in (None, -1)]
    for source, sending in [(source, left[source]) for source in led or left]:
        try:
            node = await connection.leader(source, deadline)
        except LogError as error:
            outcomes[source] = error
            del left[source]
            continue
        group, size = latest.get(node, ({}, 0))
        if not group or size + sending.batch.size > REQUEST_BYTES_MAX:
            group, size = {}, 0
            requests.append((node, group))
        group[source] = sending
        latest[node] = (group, size + sending.batch.size)
    return requests


def _request(wave: Wave) -> Any:
    topic = ProduceRequest.TopicProduceData
    topics: dict[str, list[Any]] = {}
    for source, (producer, batch) in wave.items():
        sequence = producer.sequences.get(source, 0)
        encoded = batch.encode(producer.id, producer.epoch, sequence)
        part = topic.PartitionProduceData(index=source[1], records=encoded)
        topics.setdefault(source[0], []).append(part)
    return ProduceRequest(
        transactional_id=None,
        acks=-1,
        timeout_ms=5000,
        topic_data=[topic(name=name, partition_data=parts) for name, parts in topics.items()],
        min_version=3,
        max_version=11,
    )


def _answers(response: Any) -> list[tuple[TopicPartition, type[errors.KafkaError], int]]:
    return [
        ((topic.name, part.index), errors.for_code(part.error_code), part.base_offset)
        for topic in response.responses
        for part in topic.partition_responses
    ]
