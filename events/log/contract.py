"""The log contract: what Chronova needs of a log, and all that it may use of one.

A log holds topics; a topic has a fixed number of partitions; a partition is an
append-only sequence of records whose offsets rise. Records of one key are in one partition, so
in one order.

Three implementations keep this contract and pass one suite (``tests/events/log``):
``kafka`` and ``postgres`` are real, ``memory`` exists for the simulation.

The guarantee everything above relies on: a *journal* is a partition with one writer at a time.
``Log.begin_term`` makes a writer, whose term begins with the record that it appends;
``Log.commit`` appends a batch to a journal, all of it or nothing, and only while no later term
has begun there. What an old writer manages to append after a later term began is void for every
reader (``events.log.terms``). Membership of a group only says who should write; it guards nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

TopicPartition = tuple[str, int]

EARLIEST = 0
"""Offset that means "from the first record there is"."""

LATEST = -1
"""Offset that means "only records appended after the reader was made"."""


def partition_of(key: str, partitions: int) -> int:
    """The partition of ``key`` in a topic of ``partitions`` partitions.

    CRC-32 modulo the count: what librdkafka calls the ``consistent`` partitioner, so
    other producers can follow it.
    """
    return zlib.crc32(key.encode()) % partitions


def goes_with(source: TopicPartition) -> TopicPartition:
    """The partition whose owner in a group also owns ``source``, where it subscribes to both: that
    of ``x.commands`` for one of ``x.reports``; any other goes by itself."""
    stem, _, kind = source[0].rpartition(".")
    return (f"{stem}.commands", source[1]) if kind == "reports" else source


class Topic(msgspec.Struct, frozen=True):
    """A topic as it must be. ``retention_ms`` None keeps records for ever."""

    name: str
    partitions: int
    retention_ms: int | None = None


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A record to be written. ``partition`` None: by ``partition_of(key)``."""

    topic: str
    key: str
    value: bytes
    headers: Mapping[str, str] = {}
    partition: int | None = None


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record as read. ``timestamp`` is the log's append time in microseconds since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: str
    value: bytes
    headers: Mapping[str, str]

    @property
    def source(self) -> TopicPartition:
        """Topic and partition."""
        return (self.topic, self.partition)


class LogError(Exception):
    """Any failure of the log. Its text is one sentence for an operator."""


class LogUnavailable(LogError):
    """The log could not be reached, or did not answer in time.

    Raised by ``append``, or the outcome of a ``commit``, it means *unknown*: the records may or
    may not be there.
    """


class Fenced(LogError):
    """A later term of the journal has begun: what was written, if anything, does not count."""


class RecordTooLarge(LogError):
    """A record exceeds the log's limit (``Log.record_bytes_max``): nothing was written."""


class Unstorable(LogError):
    """A record holds text that this log cannot store: nothing was written."""


class TopicMismatch(LogError):
    """A topic exists with another number of partitions, or does not exist."""


class Polled(msgspec.Struct, frozen=True):
    """What one ``poll`` of a worker gave.

    ``revoked`` has been lost: drop its state before handling ``records``. ``assigned`` is new:
    its records come after ``Member.follow``.
    """

    records: Sequence[Record] = ()
    assigned: Sequence[TopicPartition] = ()
    revoked: Sequence[TopicPartition] = ()


class Reader(Protocol):
    """Reads chosen partitions, committed records only, each partition in order. One thread's."""

    def poll(self, timeout_s: float, records_max: int = 1000) -> Sequence[Record]:
        """Records there are, or come within ``timeout_s``; empty after it or a ``wake``, and where
        a position moved over what is no record (Kafka's markers of transactions): only who sees
        nothing *and* its position unmoved has reached the end."""

    def seek(self, source: TopicPartition, offset: int) -> None:
        """Go on at ``offset`` (EARLIEST, LATEST or one seen)."""

    def ends(self) -> Mapping[TopicPartition, int]:
        """For each partition the offset after its last committed record: ``position >= end``
        means that all there was when asked has been returned by ``poll``."""

    def positions(self) -> Mapping[TopicPartition, int]:
        """For each partition the offset that ``poll`` returns next at the earliest."""

    def wake(self) -> None:
        """From any thread: make a waiting ``poll`` return now."""

    def close(self) -> None:
        """Release everything. May be called twice."""


class Journal(Protocol):
    """The writing end of one journal, for one term. One thread's.

    It ends with a later term, with ``Fenced`` and with an unknown outcome: then only another
    ``Log.begin_term`` makes a writer.
    """

    @property
    def source(self) -> TopicPartition:
        """The partition that it writes."""

    @property
    def term(self) -> int:
        """The offset of the record with which the term began; what is written names it."""


Commit = int | LogError
"""How an append to a journal ended: the offset of its first record, or why nothing counts."""


class Member(Protocol):
    """A member of a group: shares its topics' partitions with the other members. One thread's.

    The log keeps no offsets for it: who gets a partition knows where to go on.
    """

    def poll(self, timeout_s: float, records_max: int = 500) -> Polled:
        """New records of followed partitions and changes of ownership; keeps the membership
        alive. Returns early when there is something, empty after ``timeout_s``. Raises
        ``LogUnavailable``: nothing is lost, poll again."""

    def follow(self, source: TopicPartition, offset: int) -> None:
        """Deliver the records of this assigned partition from ``offset`` on. Once more: go on
        from there instead. A source that is not owned (any more) is ignored."""

    def wake(self) -> None:
        """From any thread: make a waiting ``poll`` return now."""

    def close(self) -> None:
        """Leave at once, so that another member takes over without waiting. Twice is fine."""


class Log(Protocol):
    """A log, as each process holds one. Thread-safe, except for what it makes."""

    record_bytes_max: int
    """Key, headers and value of one record together."""
    commit_bytes_max: int
    """All records of one append to a journal together."""

    def identity(self) -> str:
        """The cluster's id: a projection of one log refuses to follow another."""

    def create_topics(self, topics: Sequence[Topic]) -> Sequence[str]:
        """Make those that are missing; their names. Those that are there are kept for as long as
        they say from now on. Raises ``TopicMismatch``."""

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has (cached). Raises ``TopicMismatch`` for none."""

    def append(self, records: Sequence[Outgoing], timeout_s: float = 10.0) -> Sequence[int]:
        """Write records durably; their offsets. A retry inside never writes one twice. Raises
        ``LogUnavailable`` or ``RecordTooLarge``. Thread-safe."""

    def reader(self, start: Mapping[TopicPartition, int]) -> Reader:
        """A reader of these partitions, each from its offset."""

    def begin_term(
        self, source: TopicPartition, record: Outgoing, timeout_s: float = 10.0
    ) -> Journal:
        """Append ``record`` to the partition ``source`` as the beginning of a new term, and
        return its writer. Every earlier writer of the partition is fenced from then on.

        Raises ``LogUnavailable``: the term may have begun all the same, with nothing in it; begin
        another. ``record``'s topic and partition are those of ``source``.
        """

    def commit(
        self, appends: Sequence[tuple[Journal, Sequence[Outgoing]]], timeout_s: float = 10.0
    ) -> Sequence[Commit]:
        """Append to each journal its records, as one batch each: all of them or none; for each,
        in order, how it ended. A journal stands in it once; its records go to its partition.

        ``Fenced``: a later term has begun, and nothing that was written counts. ``LogUnavailable``:
        unknown; the journal writes no more (``Fenced`` from then on), a new term has to be begun
        and what lies in the partition to be read. ``RecordTooLarge``, ``Unstorable``: nothing was
        written, the journal goes on. Any other ``LogError``: as ``LogUnavailable``. One journal's
        end is not the others'. Raises nothing for what goes wrong with a journal.
        """

    def membership(self, group: str, topics: Sequence[str]) -> Member:
        """A member of ``group``, which shares all partitions of ``topics``. Partitions that go
        together (``goes_with``) have one owner. It joins at its first ``poll``."""

    def ends(self, sources: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """For each partition the offset after its last record. Raises ``LogUnavailable``, or
        ``TopicMismatch`` for one that is not there."""

    def offset_at(self, source: TopicPartition, timestamp: int) -> int | None:
        """The first offset whose append time is >= ``timestamp`` (microseconds), if any."""

    def ping(self, timeout_s: float = 2.0) -> None:
        """Raises ``LogUnavailable`` unless the log answers."""

    def close(self) -> None:
        """Release everything. May be called twice."""
