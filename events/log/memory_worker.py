"""The worker of the log in memory: one step at a time, driven by the simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from events.log.contract import Fenced, LogUnavailable, Outgoing, Polled, TopicPartition
from events.log.memory_cluster import Cluster, read_in_turn

if TYPE_CHECKING:
    from events.log.memory import MemoryLog


class MemoryWorker:
    """``contract.Worker``; its ``poll`` waits as the cluster's ``wait`` does."""

    def __init__(
        self,
        cluster: Cluster,
        log: MemoryLog,
        group: str,
        topics: Sequence[str],
        sources: Sequence[TopicPartition],
    ) -> None:
        self.group = group
        self._cluster = cluster
        self._log = log
        self._topics = topics
        groups = cluster.groups
        self.number = groups.join(group, topics) if topics else groups.take(group, sources)
        self._epochs: dict[TopicPartition, int] = {}
        self._starts: dict[TopicPartition, int] = {}
        self._positions: dict[TopicPartition, int] = {}
        self._turn = 0
        self._closed = False
        self._fenced = False

    def poll(self, timeout_s: float, records_max: int = 500) -> Polled:
        """See the contract."""
        self._check_usable()
        self._cluster.strike("poll", self._log.process)
        found = self._look(records_max)
        if found is None and timeout_s > 0:
            self._cluster.wait(self._log.process, timeout_s, self._positions)
            found = self._look(records_max)
        return found or Polled()

    def _look(self, records_max: int) -> Polled | None:
        changes = self._changes()
        if changes is not None:
            return changes
        self._turn += 1
        records = read_in_turn(self._cluster, self._positions, self._turn, records_max)
        return Polled(records) if records else None

    def ready(self, source: TopicPartition) -> None:
        """See the contract. A source that is not owned (any more) is ignored."""
        if source in self._starts:
            self._positions[source] = self._starts.pop(source)

    def transact(self, records: Sequence[Outgoing], offsets: Mapping[TopicPartition, int]) -> None:
        """See the contract. With no ``offsets`` all owned partitions must still be its own."""
        self._check_usable()
        placed = self._cluster.check(records)
        fault = self._cluster.strike("transact", self._log.process)
        missing = [source for source in offsets if source not in self._epochs]
        if missing or not self._epochs:
            raise Fenced(f"the worker does not own {missing or 'any partition'}")
        checked = {source: self._epochs[source] for source in offsets or self._epochs}
        self._cluster.groups.move(self.group, checked, offsets)
        self._cluster.write(placed)
        self._cluster.finish(fault, "transact", self._log.process)

    def rewind(self) -> None:
        """See the contract."""
        self._check_usable()
        self._cluster.strike("rewind", self._log.process)
        self._cluster.groups.renew(self.group, self.number)

    def wake(self) -> None:
        """See the contract."""
        self._cluster.wake(self._log.process)

    def close(self) -> None:
        """See the contract."""
        if not self._closed:
            self._closed = True
            self._log.workers.remove(self)
            self._cluster.groups.leave(self.group, self.number)

    def _check_usable(self) -> None:
        if self._closed:
            raise LogUnavailable("the worker has been closed")
        if self._fenced:
            raise Fenced("a later worker of this name has taken its partitions")

    def _changes(self) -> Polled | None:
        groups = self._cluster.groups
        if self._topics and not groups.is_member(self.group, self.number):
            # Found out that it was expelled: it comes back as another member.
            self.number = groups.join(self.group, self._topics)
        held = groups.of(self.group, self.number)
        revoked = [
            source
            for source, epoch in self._epochs.items()
            if source not in held or held[source].epoch != epoch
        ]
        assigned = [s for s in held if s in revoked or s not in self._epochs]
        if not self._topics and not held:
            self._fenced = True
            self._check_usable()
        for source in revoked:
            self._positions.pop(source, None)
            self._starts.pop(source, None)
        self._starts.update({source: held[source].next_offset for source in assigned})
        self._epochs = {source: one.epoch for source, one in held.items()}
        if not revoked and not assigned:
            return None
        return Polled((), assigned=assigned, revoked=revoked)
