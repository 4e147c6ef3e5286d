"""The log in memory, for the simulation: the contract, deterministic, with faults to order.

No threads, no clock, no randomness of its own: time comes from ``now``, a ``poll`` that finds
nothing asks ``wait`` once (by default it does not wait) and looks again, and what goes wrong is
decided by ``faults``, a function asked before each operation. Several simulated processes share
one ``Cluster``, each through a ``MemoryLog`` of its own; a process that is gone stays a member of
its groups until ``MemoryLog.expel``, as a killed or stopped one does until its session ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from events.log import memory_journal
from events.log.contract import (
    EARLIEST,
    LATEST,
    Commit,
    Journal,
    Member,
    Outgoing,
    Reader,
    Record,
    Topic,
    TopicMismatch,
    TopicPartition,
)
from events.log.memory_cluster import Cluster, Crash, Fault, Faults, Operation, read_in_turn
from events.log.memory_member import MemoryMember

__all__ = ["Cluster", "Crash", "Fault", "Faults", "MemoryLog", "Operation"]


class MemoryReader:
    """``contract.Reader``; its ``poll`` waits as the cluster's ``wait`` does."""

    def __init__(self, cluster: Cluster, process: str, start: Mapping[TopicPartition, int]) -> None:
        self._cluster = cluster
        self._process = process
        self._positions: dict[TopicPartition, int] = dict.fromkeys(start, 0)
        self._turn = 0
        for source, offset in start.items():
            self.seek(source, offset)

    def poll(self, timeout_s: float, records_max: int = 1000) -> Sequence[Record]:
        """See the contract."""
        self._cluster.strike("reader.poll", self._process)
        self._turn += 1
        found = read_in_turn(self._cluster, self._positions, self._turn, records_max)
        if not found and timeout_s > 0:
            self._cluster.wait(self._process, timeout_s, self._positions)
            found = read_in_turn(self._cluster, self._positions, self._turn, records_max)
        return found

    def seek(self, source: TopicPartition, offset: int) -> None:
        """See the contract."""
        partition = self._cluster.partition(source)
        self._positions[source] = partition.end if offset == LATEST else max(EARLIEST, offset)

    def ends(self) -> Mapping[TopicPartition, int]:
        """See the contract."""
        self._cluster.strike("reader.ends", self._process)
        return {source: self._cluster.partition(source).end for source in self._positions}

    def positions(self) -> Mapping[TopicPartition, int]:
        """See the contract."""
        return dict(self._positions)

    def wake(self) -> None:
        """See the contract."""
        self._cluster.wake(self._process)

    def close(self) -> None:
        """Nothing to release."""


class MemoryLog:
    """``contract.Log`` as one simulated process has it: ``MemoryLog(cluster=…, process=…)``.

    With ``now`` instead of ``cluster`` it makes a cluster of its own.
    """

    def __init__(
        self,
        now: Callable[[], int] | None = None,
        *,
        cluster: Cluster | None = None,
        process: str = "process",
        record_bytes_max: int = 1 << 20,
    ) -> None:
        if cluster is None:
            if now is None:
                raise ValueError("a log in memory has no clock of its own: give it `now`")
            cluster = Cluster(now, record_bytes_max=record_bytes_max)
        self.cluster = cluster
        self.process = process
        self.record_bytes_max = cluster.record_bytes_max
        self.members: list[MemoryMember] = []

    def identity(self) -> str:
        """See the contract."""
        self.cluster.strike("identity", self.process)
        return self.cluster.identity

    def create_topics(self, topics: Sequence[Topic]) -> Sequence[str]:
        """See the contract."""
        self.cluster.strike("create_topics", self.process)
        return [topic.name for topic in topics if self.cluster.create(topic)]

    def partitions(self, topic: str) -> int:
        """See the contract."""
        if topic not in self.cluster.topics:
            raise TopicMismatch(f"there is no topic {topic}")
        return self.cluster.topics[topic].partitions

    def append(self, records: Sequence[Outgoing], timeout_s: float = 10.0) -> Sequence[int]:
        """See the contract."""
        placed = self.cluster.check(records)
        fault = self.cluster.strike("append", self.process)
        offsets = self.cluster.write(placed)
        if fault is Fault.DUPLICATE:
            self.cluster.write(placed)
        self.cluster.finish(fault, "append", self.process)
        return offsets

    def reader(self, start: Mapping[TopicPartition, int]) -> Reader:
        """See the contract."""
        self.cluster.strike("reader", self.process)
        return MemoryReader(self.cluster, self.process, start)

    def begin_term(
        self, source: TopicPartition, record: Outgoing, timeout_s: float = 10.0
    ) -> Journal:
        """See the contract."""
        return memory_journal.begin_term(self.cluster, self.process, source, record)

    def commit(
        self, appends: Sequence[tuple[Journal, Sequence[Outgoing]]], timeout_s: float = 10.0
    ) -> Sequence[Commit]:
        """See the contract."""
        return memory_journal.commit(self.cluster, self.process, appends)

    def membership(self, group: str, topics: Sequence[str]) -> Member:
        """See the contract."""
        self.cluster.strike("membership", self.process)
        for topic in topics:
            self.partitions(topic)
        member = MemoryMember(self.cluster, self, group, topics)
        self.members.append(member)
        return member

    def ends(self, sources: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """See the contract."""
        self.cluster.strike("ends", self.process)
        return {source: self.cluster.partition(source).end for source in sources}

    def offset_at(self, source: TopicPartition, timestamp: int) -> int | None:
        """See the contract."""
        self.cluster.strike("offset_at", self.process)
        for record in self.cluster.partition(source).records:
            if record.timestamp >= timestamp:
                return record.offset
        return None

    def ping(self, timeout_s: float = 2.0) -> None:
        """See the contract."""
        self.cluster.strike("ping", self.process)

    def expel(self) -> None:
        """The sessions of this process's members are over: others take their partitions, and
        it finds out when it polls or is fenced. Also what becomes of a process that is gone."""
        for member in self.members:
            if member.number is not None:
                self.cluster.groups.leave(member.group, member.number)

    def close(self) -> None:
        """See the contract."""
        for member in tuple(self.members):
            member.close()
