"""Produce requests: batches to the leaders of their partitions, written once however often sent.

What a producer sends to a partition is numbered, and a leader that has it already says so.
So each request is repeated until it is answered or time is over; only then is it unknown
whether a batch was written, and its numbers with it: the producer needs a new id or epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import kafka.errors as errors
from kafka.protocol.producer import ProduceRequest

from events.log.contract import TopicPartition
from events.log.kafka_connection import Connection, Deadline
from events.log.kafka_records import Batch

Outcome: TypeAlias = int | errors.KafkaError
"""The offset of a batch's first record, or why it was not written."""


class Producer:
    """Who writes: the id, its epoch, and the next number of each partition."""

    def __init__(self, transactional_id: str | None = None) -> None:
        self.transactional_id = transactional_id
        self.id = -1
        self.epoch = -1
        self.sequences: dict[TopicPartition, int] = {}
        self.versions = (3, 11)

    def renewed(self, producer_id: int, epoch: int) -> None:
        """An id or epoch from the broker; numbers begin anew with it."""
        self.id, self.epoch = producer_id, epoch
        self.sequences.clear()


async def produce(
    connection: Connection,
    producer: Producer,
    wave: Mapping[TopicPartition, Batch],
    deadline: Deadline,
) -> dict[TopicPartition, Outcome]:
    """Write one batch to each partition; the outcome of each.

    A ``RetriableError`` as outcome means *unknown*: it was tried until ``deadline``.
    """
    outcomes: dict[TopicPartition, Outcome] = {}
    left = dict(wave)
    while left:
        failure: errors.KafkaError | None = None
        try:
            nodes = await _by_leader(connection, left, deadline)
            posted = [
                (group, connection.post(_request(producer, group), deadline, node))
                for node, group in nodes.items()
            ]
            for group, answer in posted:
                failure = await _taken(producer, group, answer, left, outcomes) or failure
            if failure is not None and left:
                await connection.pause(deadline, failure)
                if isinstance(failure, errors.InvalidMetadataError):
                    await connection.refresh(deadline)
        except errors.KafkaError as error:
            outcomes.update(dict.fromkeys(left, error))
            break
    return outcomes


async def _taken(
    producer: Producer,
    group: Mapping[TopicPartition, Batch],
    answer: Any,
    left: dict[TopicPartition, Batch],
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
            count = len(left.pop(source))
            producer.sequences[source] = producer.sequences.get(source, 0) + count
            outcomes[source] = offset
        elif issubclass(kind, errors.RetriableError):
            failure = kind()
        else:
            del left[source]
            outcomes[source] = kind()
    return failure


async def _by_leader(
    connection: Connection, left: Mapping[TopicPartition, Batch], deadline: Deadline
) -> dict[Any, dict[TopicPartition, Batch]]:
    nodes: dict[Any, dict[TopicPartition, Batch]] = {}
    for source, batch in left.items():
        node = await connection.leader(source, deadline)
        nodes.setdefault(node, {})[source] = batch
    return nodes


def _request(producer: Producer, batches: Mapping[TopicPartition, Batch]) -> Any:
    topic = ProduceRequest.TopicProduceData
    topics: dict[str, list[Any]] = {}
    for source, batch in batches.items():
        encoded = batch.encode(
            producer.id,
            producer.epoch,
            producer.sequences.get(source, 0),
            transactional=producer.transactional_id is not None,
        )
        part = topic.PartitionProduceData(index=source[1], records=encoded)
        topics.setdefault(source[0], []).append(part)
    least, most = producer.versions
    return ProduceRequest(
        transactional_id=producer.transactional_id,
        acks=-1,
        timeout_ms=5000,
        topic_data=[topic(name=name, partition_data=parts) for name, parts in topics.items()],
        min_version=least,
        max_version=most,
    )


def _answers(response: Any) -> list[tuple[TopicPartition, type[errors.KafkaError], int]]:
    return [
        ((topic.name, part.index), errors.for_code(part.error_code), part.base_offset)
        for topic in response.responses
        for part in topic.partition_responses
    ]
