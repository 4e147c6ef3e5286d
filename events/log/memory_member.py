"""A member of a group on the log in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from events.log.contract import LogUnavailable, Polled, TopicPartition
from events.log.memory_cluster import Cluster, read_in_turn

if TYPE_CHECKING:
    from events.log.memory import MemoryLog


class MemoryMember:
    """``contract.Member``; its ``poll`` waits as the cluster's ``wait`` does."""

    def __init__(self, cluster: Cluster, log: MemoryLog, group: str, topics: Sequence[str]) -> None:
        self.group = f"member:{group}"
        self._cluster = cluster
        self._log = log
        self._topics = topics
        self.number: int | None = None
        self._epochs: dict[TopicPartition, int] = {}
        self._positions: dict[TopicPartition, int] = {}
        self._turn = 0
        self._closed = False

    def poll(self, timeout_s: float, records_max: int = 500) -> Polled:
        """See the contract."""
        if self._closed:
            raise LogUnavailable("the member has been closed")
        self._cluster.strike("poll", self._log.process)
        found = self._look(records_max)
        if found is None and timeout_s > 0:
            self._cluster.wait(self._log.process, timeout_s, self._positions)
            found = self._look(records_max)
        return found or Polled()

    def follow(self, source: TopicPartition, offset: int) -> None:
        """See the contract."""
        if source in self._epochs:
            self._positions[source] = offset

    def wake(self) -> None:
        """See the contract."""
        self._cluster.wake(self._log.process)

    def close(self) -> None:
        """See the contract."""
        if not self._closed:
            self._closed = True
            self._log.members.remove(self)
            if self.number is not None:
                self._cluster.groups.leave(self.group, self.number)

    def _look(self, records_max: int) -> Polled | None:
        changes = self._changes()
        if changes is not None:
            return changes
        self._turn += 1
        records = read_in_turn(self._cluster, self._positions, self._turn, records_max)
        return Polled(records) if records else None

    def _changes(self) -> Polled | None:
        groups = self._cluster.groups
        if self.number is None or not groups.is_member(self.group, self.number):
            # New, or it found out that it was expelled: it comes back as another member.
            self.number = groups.join(self.group, self._topics)
        held = groups.of(self.group, self.number)
        revoked = [
            source
            for source, epoch in self._epochs.items()
            if source not in held or held[source].epoch != epoch
        ]
        assigned = [s for s in held if s in revoked or s not in self._epochs]
        for source in revoked:
            self._positions.pop(source, None)
        self._epochs = {source: one.epoch for source, one in held.items()}
        if not revoked and not assigned:
            return None
        return Polled((), assigned=assigned, revoked=revoked)
