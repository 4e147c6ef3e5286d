"""Appends without a transaction, by one idempotent producer that all threads share.

One flight at a time: what threads append while it is under way goes together in the next, one
batch to each partition. A thread waits for its own time; its records may still be written
after it gave up, for as long as somebody with more patience waits for the same batch.

When it stays unknown whether a batch was written, the producer takes a new id: numbers of the
old one can never be accepted again out of turn.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping, Sequence

import kafka.errors as errors
from kafka.future import Future

from events.log.contract import LogError, TopicPartition
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
from events.log.kafka_records import BATCH_BYTES, Addressed, Batch, batches


class _Piece:
    """Records of one caller for one partition, and the future of their first offset."""

    def __init__(self, batch: Batch, deadline: Deadline) -> None:
        self.batch = batch
        self.deadline = deadline
        self.future = Future()

    def settle(self, outcome: Outcome, skip: int = 0) -> None:
        if isinstance(outcome, int):
            self.future.success(outcome + skip)
        else:
            self.future.failure(outcome)


class Appender:
    """Writes records and waits for their offsets. Thread-safe. Its state is that of one session of
    the connection: it ends with a fork, and with the event loop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._reset()

    def _reset(self) -> None:
        self._session = self._connection.session
        self._producer: Producer | None = None
        self._waiting: dict[TopicPartition, collections.deque[_Piece]] = {}
        self._flying = False

    def append(self, records: Sequence[Addressed], timeout_s: float) -> list[int]:
        """Write records; their offsets."""
        if not records:
            return []
        firsts = self._connection.run("write records", timeout_s, self._append, records)
        offsets = {source: _counted(pieces) for source, pieces in firsts.items()}
        return [next(offsets[record.source]) for record in records]

    # From here on the event loop, so without locks.

    async def _append(
        self, records: Sequence[Addressed], deadline: Deadline
    ) -> dict[TopicPartition, list[tuple[int, int]]]:
        """First offset and count of each piece, by partition."""
        if self._session != self._connection.session:
            self._reset()
        pieces = {
            source: [_Piece(batch, deadline) for batch in cut]
            for source, cut in batches(records).items()
        }
        for source, own in pieces.items():
            self._waiting.setdefault(source, collections.deque()).extend(own)
        if not self._flying:
            self._flying = True
            self._connection.client.begin(self._fly)
        wait_for = self._connection.client.wait_for
        return {
            source: [
                (await wait_for(piece.future, deadline.left_s), len(piece.batch)) for piece in own
            ]
            for source, own in pieces.items()
        }

    async def _fly(self) -> None:
        """Send what waits until nothing does."""
        try:
            while self._waiting:
                flight = {source: _together(own) for source, own in self._waiting.items()}
                self._waiting = {source: own for source, own in self._waiting.items() if own}
                await self._send(flight)
        finally:
            self._flying = False

    async def _send(self, flight: Mapping[TopicPartition, list[_Piece]]) -> None:
        deadline = max((piece.deadline for own in flight.values() for piece in own), key=_end)
        outcomes: Mapping[TopicPartition, Outcome]
        try:
            outcomes = await self._written(flight, deadline)
        except (errors.KafkaError, LogError) as error:
            outcomes = dict.fromkeys(flight, error)
        if any(not isinstance(outcome, int) for outcome in outcomes.values()):
            self._producer = None
        for source, own in flight.items():
            before = 0
            for piece in own:
                piece.settle(_explained(outcomes[source]), before)
                before += len(piece.batch)

    async def _written(
        self, flight: Mapping[TopicPartition, list[_Piece]], deadline: Deadline
    ) -> dict[TopicPartition, Outcome]:
        if self._producer is None:
            self._producer = await new_producer(self._connection, deadline, None)
        wave = {}
        for source, own in flight.items():
            wave[source] = Sending(self._producer, Batch())
            for piece in own:
                wave[source].batch.join(piece.batch)
        return await produce(self._connection, wave, deadline)


def _together(waiting: collections.deque[_Piece]) -> list[_Piece]:
    """As many of the pieces as go in one batch; at least one."""
    chosen = [waiting.popleft()]
    size = chosen[0].batch.size
    while waiting and size + waiting[0].batch.size <= BATCH_BYTES:
        size += waiting[0].batch.size
        chosen.append(waiting.popleft())
    return chosen


def _explained(outcome: Outcome) -> Outcome:
    if isinstance(outcome, TOO_LARGE):
        return too_large(outcome)
    if isinstance(outcome, errors.KafkaError):
        return unavailable("write records", outcome)
    return outcome


def _counted(pieces: Sequence[tuple[int, int]]) -> Iterator[int]:
    for first, count in pieces:
        yield from range(first, first + count)


def _end(deadline: Deadline) -> float:
    return deadline.at
