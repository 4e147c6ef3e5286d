"""What the processes of a simulation share: the records, the groups, and the faults.

Invariant: an operation happens wholly or not at all; a crash (``Crash``) is raised before or
after it, never within.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import NamedTuple

from events.log.contract import (
    LogError,
    LogUnavailable,
    Outgoing,
    Record,
    RecordTooLarge,
    Topic,
    TopicMismatch,
    TopicPartition,
    partition_of,
)
from events.log.memory_groups import Groups
from events.log.terms import BEGINS_TERM


class Fault(Enum):
    """What can go wrong with an operation."""

    UNAVAILABLE = "refused: nothing happened"
    UNAVAILABLE_AFTER = "it happened, but the answer was lost"
    CRASH = "the process ends before it happened"
    CRASH_AFTER = "the process ends after it happened"
    REFUSED = "refused for a reason that the contract has no name for: nothing happened"
    DUPLICATE = "an append happens twice, as when a client retries one whose answer was lost"


class Crash(BaseException):
    """The simulated process ends here. No ``except Exception`` keeps it alive."""


class Operation(NamedTuple):
    """What ``faults`` is asked about: ``name`` is a method of the contract, ``process`` the
    name of the ``MemoryLog`` that calls it."""

    name: str
    process: str


Faults = Callable[[Operation], Fault | None]

Wait = Callable[[str, float, Iterable[TopicPartition]], object]
"""``wait(process, seconds, sources)``: a poll of that process found nothing and would wait so
long for something in these sources."""


class Partition:
    """The records of one partition; ``first`` is the offset of the oldest that is kept."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.first = 0
        self.last_timestamp = 0
        self.term: int | None = None
        """Offset of the record with which the newest term of this journal began."""

    @property
    def end(self) -> int:
        """The offset of the next record."""
        return self.first + len(self.records)

    def read(self, position: int, records_max: int) -> list[Record]:
        """At most so many records from ``position`` on."""
        start = max(0, position - self.first)
        return self.records[start : start + records_max]


class Cluster:
    """What the processes share: topics with their records, groups with their offsets."""

    def __init__(
        self,
        now: Callable[[], int],
        *,
        record_bytes_max: int = 1 << 20,
        identity: str = "memory",
        faults: Faults = lambda operation: None,
        wait: Wait = lambda process, seconds, sources: None,
        wake: Callable[[str], object] = lambda process: None,
    ) -> None:
        self.now = now
        self.record_bytes_max = record_bytes_max
        self.identity = identity
        self.faults = faults
        self.wait = wait
        self.wake = wake
        self.topics: dict[str, Topic] = {}
        self.partitions: dict[TopicPartition, Partition] = {}
        self.groups = Groups(lambda topic: self.topics[topic].partitions)

    def strike(self, name: str, process: str) -> Fault | None:
        """Ask for a fault and let it happen, but for the kinds that come after the deed."""
        fault = self.faults(Operation(name, process))
        if fault is Fault.UNAVAILABLE:
            raise LogUnavailable(f"{name}: the simulated log is away")
        if fault is Fault.REFUSED:
            raise LogError(f"{name}: the simulated log is read-only")
        if fault is Fault.CRASH:
            raise Crash(f"{process} in {name}")
        return fault

    def finish(self, fault: Fault | None, name: str, process: str) -> None:
        """Let a fault happen that comes after the deed."""
        if fault is Fault.UNAVAILABLE_AFTER:
            raise LogUnavailable(f"{name}: the simulated log's answer was lost")
        if fault is Fault.CRASH_AFTER:
            raise Crash(f"{process} after {name}")

    def create(self, topic: Topic) -> bool:
        """Whether it was missing. Raises ``TopicMismatch`` and ``ValueError``."""
        if topic.partitions < 1 or not topic.name:
            raise ValueError(f"not a topic: {topic}")
        if topic.retention_ms is not None and topic.name.endswith(".events"):
            raise ValueError(f"{topic.name}: what happened is kept for ever")
        there = self.topics.setdefault(topic.name, topic)
        if there.partitions != topic.partitions:
            raise TopicMismatch(
                f"topic {topic.name} has {there.partitions} partitions, not {topic.partitions}"
            )
        self.topics[topic.name] = topic
        if (topic.name, 0) in self.partitions:
            return False
        for number in range(topic.partitions):
            self.partitions[topic.name, number] = Partition()
        return True

    def partition(self, source: TopicPartition) -> Partition:
        """Raises ``TopicMismatch`` if there is none."""
        if source not in self.partitions:
            raise TopicMismatch(f"there is no partition {source[1]} of a topic {source[0]}")
        return self.partitions[source]

    def check(self, records: Iterable[Outgoing]) -> list[tuple[TopicPartition, Outgoing]]:
        """Where each record goes. Raises before anything is written."""
        placed = []
        for record in records:
            size = len(record.key.encode()) + len(record.value)
            size += sum(len(k.encode()) + len(v.encode()) for k, v in record.headers.items())
            if size > self.record_bytes_max:
                raise RecordTooLarge(
                    f"a record of {size} bytes for {record.topic} "
                    f"exceeds the limit of {self.record_bytes_max}"
                )
            if record.topic not in self.topics:
                raise TopicMismatch(f"there is no topic {record.topic}")
            number = record.partition
            if number is None:
                number = partition_of(record.key, self.topics[record.topic].partitions)
            self.partition((record.topic, number))
            placed.append(((record.topic, number), record))
        return placed

    def write(self, placed: Iterable[tuple[TopicPartition, Outgoing]]) -> list[int]:
        """Append; the offsets. Raises ``TopicMismatch`` before anything is written where a topic
        has gone since it was checked."""
        offsets = []
        for source, record, partition in [(*one, self.partition(one[0])) for one in placed]:
            offset = partition.end
            partition.last_timestamp = max(self.now(), partition.last_timestamp)
            partition.records.append(
                Record(
                    *source,
                    offset,
                    partition.last_timestamp,
                    record.key,
                    record.value,
                    dict(record.headers),
                )
            )
            if record.headers.get("ce_type") == BEGINS_TERM:
                partition.term = offset
            self._trim(source[0], partition)
            offsets.append(offset)
        return offsets

    def _trim(self, topic: str, partition: Partition) -> None:
        retention_ms = self.topics[topic].retention_ms
        if retention_ms is None:
            return
        cut, over = self.now() - retention_ms * 1000, 0
        while partition.records[over].timestamp < cut:
            over += 1
        del partition.records[:over]
        partition.first += over


def read_in_turn(
    cluster: Cluster, positions: dict[TopicPartition, int], turn: int, records_max: int
) -> list[Record]:
    """Records from ``positions``, which are moved, starting with another partition each turn."""
    sources = list(positions)
    start = turn % max(1, len(sources))
    records: list[Record] = []
    for source in sources[start:] + sources[:start]:
        partition = cluster.partition(source)
        read = partition.read(positions[source], records_max - len(records))
        if read:
            records += read
            positions[source] = read[-1].offset + 1
        elif len(records) < records_max:
            positions[source] = max(positions[source], partition.first)
    return records
