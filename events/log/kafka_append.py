"""Appends without a transaction, by one idempotent producer that all threads share.

One flight at a time to each broker: what threads append while it is under way goes together in
the next, one batch to each partition. What has to be sent once more, and a partition that nobody
leads, holds up nothing else. A thread waits for its own time; its records may still be written
after it gave up, for as long as somebody with more patience waits for the same batch.

When it stays unknown whether a batch was written, the producer takes a new id: numbers of the
old one can never be accepted again out of turn.
"""

from __future__ import annotations

import collections
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import partial

import kafka.errors as errors
from kafka.future import Future

from events.log.contract import LogError, TopicPartition
from events.log.kafka_connection import Connection, Deadline, unavailable
from events.log.kafka_produce import (
    TOO_LARGE,
    Outcome,
    Producer,
    Sending,
    Wave,
    new_producer,
    produce,
    too_large,
)
from events.log.kafka_records import BATCH_BYTES, Addressed, Batch, batches

PRODUCER_S = 10.0
"""How long an id of a producer is asked for."""


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


class _Flight:
    """What goes to one broker together."""

    def __init__(self, way: Hashable, pieces: dict[TopicPartition, list[_Piece]]) -> None:
        self.way = way
        self.pieces = pieces
        """Of the partitions whose outcome is not known."""
        self.delayed = False
        """Whether some of it is tried again, and another flight may go that way."""

    @property
    def deadline(self) -> Deadline:
        """The latest of those who wait for it."""
        return max((piece.deadline for own in self.pieces.values() for piece in own), key=_end)

    def wave(self, producer: Producer) -> Wave:
        """One batch for each partition."""
        wave = {}
        for source, own in self.pieces.items():
            wave[source] = Sending(producer, Batch())
            for piece in own:
                wave[source].batch.join(piece.batch)
        return wave


class Appender:
    """Writes records and waits for their offsets. Thread-safe. Its state is that of one session of
    the connection: it ends with a fork, and with the event loop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._reset()

    def _reset(self) -> None:
        self._session = self._connection.session
        self._producer: Future | None = None
        """Of the producer, which one flight asks for."""
        self._waiting: dict[TopicPartition, collections.deque[_Piece]] = {}
        self._flights: set[Hashable] = set()
        """By where they go (``_way``)."""
        self._aloft: set[TopicPartition] = set()
        """Partitions of which a batch is under way: the next one follows it."""

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
        self._depart()
        wait_for = self._connection.client.wait_for
        return {
            source: [
                (await wait_for(piece.future, deadline.left_s), len(piece.batch)) for piece in own
            ]
            for source, own in pieces.items()
        }

    def _way(self, source: TopicPartition) -> Hashable:
        """The broker that leads a partition; the partition where none is known."""
        leader = self._connection.client.leader_of(source)
        return source if leader in (None, -1) else ("leader", leader)

    def _depart(self) -> None:
        """Begin the flights that something waits for."""
        ways = {self._way(source) for source in self._waiting if source not in self._aloft}
        for way in ways - self._flights:
            self._flights.add(way)
            self._connection.client.begin(partial(self._fly, way))

    async def _fly(self, way: Hashable) -> None:
        """Send what waits for a way until nothing does."""
        flight = _Flight(way, self._boarded(way))
        while flight.pieces:
            await self._send(flight)
            if flight.delayed:
                return  # another has taken its place meanwhile
            flight = _Flight(way, self._boarded(way))
        self._flights.discard(way)
        self._depart()  # to what has another leader by now

    def _boarded(self, way: Hashable) -> dict[TopicPartition, list[_Piece]]:
        """Take what goes that way off what waits."""
        sources = [s for s in self._waiting if s not in self._aloft and self._way(s) == way]
        flight = {source: _together(self._waiting[source]) for source in sources}
        self._waiting = {source: own for source, own in self._waiting.items() if own}
        self._aloft.update(flight)
        return flight

    async def _send(self, flight: _Flight) -> None:
        deadline = flight.deadline
        known = self._producer = self._producer or self._new_producer()
        outcomes: Mapping[TopicPartition, Outcome]
        try:
            producer = await self._connection.client.wait_for(known, deadline.left_s)
            passed = partial(self._passed, flight)
            outcomes = await produce(self._connection, flight.wave(producer), deadline, passed)
        except (errors.KafkaError, LogError) as error:
            outcomes = dict.fromkeys(flight.pieces, error)
        if any(not isinstance(outcome, int) for outcome in outcomes.values()):
            self._producer = None if self._producer is known else self._producer
        self._landed(flight, outcomes)

    def _passed(self, flight: _Flight, outcomes: Mapping[TopicPartition, Outcome]) -> None:
        """Each partition of a flight was tried. Where some are to be tried again, others that go
        the same way wait no longer."""
        self._landed(flight, outcomes)
        if flight.pieces and not flight.delayed:
            flight.delayed = True
            self._flights.discard(flight.way)
            self._depart()

    def _landed(self, flight: _Flight, outcomes: Mapping[TopicPartition, Outcome]) -> None:
        for source in flight.pieces.keys() & outcomes.keys():
            self._aloft.discard(source)
            before = 0
            for piece in flight.pieces.pop(source):
                piece.settle(_explained(outcomes[source]), before)
                before += len(piece.batch)
        if flight.delayed:
            self._depart()

    def _new_producer(self) -> Future:
        made, deadline = Future(), Deadline(PRODUCER_S)

        async def ask() -> None:
            try:
                made.success(await new_producer(self._connection, deadline, None))
            except (errors.KafkaError, LogError) as error:
                made.failure(error)

        self._connection.client.begin(ask)
        return made


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
