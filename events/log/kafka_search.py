"""What was written to a partition between two offsets: whose batches, and whether a term began.

A journal's writer asks when the log answers otherwise than expected. It reads what there is at
the partition's leader, batch by batch, and stops at the first answer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import kafka.errors as errors
from kafka.protocol.consumer import FetchRequest
from kafka.record.memory_records import MemoryRecords

from events.log.contract import Fenced, TopicPartition
from events.log.kafka_connection import Connection, Deadline

_BYTES = 1 << 20  # of one answer; a batch that is larger comes all the same
_TYPE, _BEGINS = "ce_type", b".TermBegan"


class Written(NamedTuple):
    """How a batch is known: its producer's id and epoch, and the number of its first record."""

    producer: int
    epoch: int
    sequence: int


async def search(
    connection: Connection,
    source: TopicPartition,
    start: int,
    end: int | None,
    own: Written,
    deadline: Deadline,
) -> int | Fenced | None:
    """Look from ``start`` to before ``end`` (None: the end there is) for the batch ``own`` or
    the beginning of a term, whichever is first.

    Returns the batch's offset, ``Fenced`` for a term, None for neither. Raises a
    ``KafkaError`` by the deadline.
    """
    offset = start
    while end is None or offset < end:
        batches, end_now = await _fetched(connection, source, offset, deadline)
        end = end_now if end is None else end
        for batch in batches:
            if batch.last_offset < offset:
                continue
            if batch.base_offset >= end:
                return None
            if not batch.is_control_batch:
                if (batch.producer_id, batch.producer_epoch, batch.base_sequence) == own:
                    return int(batch.base_offset)
                if _begins_term(batch, offset, end):
                    return Fenced(f"a later term of {source[0]}/{source[1]} has begun")
            offset = batch.last_offset + 1
        if not batches and offset < end:
            await connection.pause(deadline, errors.KafkaTimeoutError("records are not there yet"))
    return None


def _begins_term(batch: Any, start: int, end: int) -> bool:
    return any(
        name == _TYPE and value is not None and value.endswith(_BEGINS)
        for record in batch
        if start <= record.offset < end
        for name, value in record.headers
    )


async def _fetched(
    connection: Connection, source: TopicPartition, offset: int, deadline: Deadline
) -> tuple[list[Any], int]:
    """Batches from the one with ``offset`` on, and the offset after the last that is safe."""
    while True:
        try:
            node = await connection.leader(source, deadline)
            response = await connection.send(_request(source, offset), deadline, node)
            if response.error_code:
                raise errors.for_code(response.error_code)()
            part = response.responses[0].partitions[0]
            error = errors.for_code(part.error_code)
            if error is not errors.NoError:
                raise error()
            records = MemoryRecords(bytes(part.records or b""))
            return [each for each in records if each.magic >= 2], int(part.high_watermark)
        except errors.RetriableError as error:
            await connection.pause(deadline, error)
            if isinstance(error, errors.InvalidMetadataError):
                await connection.refresh(deadline)


def _request(source: TopicPartition, offset: int) -> Any:
    topic: Any = FetchRequest.FetchTopic
    part = topic.FetchPartition(
        partition=source[1],
        current_leader_epoch=-1,
        fetch_offset=offset,
        last_fetched_epoch=-1,
        log_start_offset=-1,
        partition_max_bytes=_BYTES,
    )
    return FetchRequest(
        replica_id=-1,
        max_wait_ms=0,
        min_bytes=0,
        max_bytes=_BYTES,
        isolation_level=0,
        session_id=0,
        session_epoch=-1,
        topics=[topic(topic=source[0], partitions=[part])],
        forgotten_topics_data=[],
        rack_id="",
        min_version=4,
        max_version=12,
    )
