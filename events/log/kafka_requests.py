"""Requests of Kafka's transaction protocol, as kafka-python's protocol classes, and their errors.

Version 1 and 2 of transactions differ in the versions of the requests alone, and in that
version 2 has no use for ``add_partitions`` and ``add_offsets``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import kafka.errors as errors
import msgspec
from kafka.protocol.producer import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
    TxnOffsetCommitRequest,
)

from events.log.contract import TopicPartition
from events.log.kafka_produce import Producer


class Membership(msgspec.Struct, frozen=True):
    """Whose offsets are moved. Without a generation nothing but the transactional id fences."""

    group: str
    generation: int = -1
    member: str = ""


def init_producer(
    transactional_id: str | None, timeout_ms: int, producer: int = -1, epoch: int = -1
) -> Any:
    """A fresh epoch of ``producer``, if that still is the latest; -1: of whoever's it is."""
    return InitProducerIdRequest(
        transactional_id=transactional_id,
        transaction_timeout_ms=timeout_ms,
        producer_id=producer,
        producer_epoch=epoch,
        max_version=4,
    )


def add_partitions(producer: Producer, touched: Iterable[TopicPartition]) -> Any:
    """Partitions that a transaction will write to."""
    topics: dict[str, list[int]] = {}
    for name, number in sorted(touched):
        topics.setdefault(name, []).append(number)
    topic = AddPartitionsToTxnRequest.AddPartitionsToTxnTopic
    return AddPartitionsToTxnRequest(
        v3_and_below_transactional_id=producer.transactional_id,
        v3_and_below_producer_id=producer.id,
        v3_and_below_producer_epoch=producer.epoch,
        v3_and_below_topics=[topic(name=name, partitions=each) for name, each in topics.items()],
        max_version=3,
    )


def add_offsets(producer: Producer, group: str) -> Any:
    """The group whose offsets a transaction will move."""
    return AddOffsetsToTxnRequest(
        transactional_id=producer.transactional_id,
        producer_id=producer.id,
        producer_epoch=producer.epoch,
        group_id=group,
        max_version=3,
    )


def commit_offsets(
    producer: Producer,
    version: int,
    offsets: Mapping[TopicPartition, tuple[int, str]],
    membership: Membership,
) -> Any:
    """Offsets of a group with a note each, as a part of the transaction."""
    topic = TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic
    topics: dict[str, list[Any]] = {}
    for (name, number), (offset, note) in offsets.items():
        part = topic.TxnOffsetCommitRequestPartition(
            partition_index=number,
            committed_offset=offset,
            committed_leader_epoch=-1,
            committed_metadata=note,
        )
        topics.setdefault(name, []).append(part)
    return TxnOffsetCommitRequest(
        transactional_id=producer.transactional_id,
        group_id=membership.group,
        producer_id=producer.id,
        producer_epoch=producer.epoch,
        generation_id=membership.generation,
        member_id=membership.member,
        group_instance_id=None,
        topics=[topic(name=name, partitions=parts) for name, parts in topics.items()],
        min_version=5 if version == 2 else 3,
        max_version=5 if version == 2 else 4,
    )


def end(producer: Producer, version: int, committed: bool) -> Any:
    """Commit or abort. Version 2 answers with the next transaction's epoch."""
    return EndTxnRequest(
        transactional_id=producer.transactional_id,
        producer_id=producer.id,
        producer_epoch=producer.epoch,
        committed=committed,
        min_version=5 if version == 2 else 1,
        max_version=5 if version == 2 else 4,
    )


def errors_of(response: Any) -> list[type[errors.KafkaError]]:
    """The error classes of a coordinator's answer: its own, or of each of its partitions."""
    topics = getattr(response, "results_by_topic_v3_and_below", None)
    if topics is None:
        topics = getattr(response, "topics", None)
    if topics is None:
        return [errors.for_code(response.error_code)]
    return [errors.for_code(code) for _, parts in topics for _, code in parts]
