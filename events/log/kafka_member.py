"""A member of a group of a Kafka log: Kafka shares out the partitions and keeps no offsets.

What is assigned is held back until ``follow`` says where to go on. Heartbeats go out on a
thread of kafka-python's own, so membership lasts while the caller folds between two polls, for
at most ``max_poll_interval_ms``.
"""

from __future__ import annotations

from events.log.contract import EARLIEST, LogUnavailable, Polled, TopicPartition
from events.log.kafka_consumer import Consumer


class KafkaMember:
    """``contract.Member``."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._owned: set[TopicPartition] = set()
        self._closed = False

    def poll(self, timeout_s: float, records_max: int = 500) -> Polled:
        """See the contract."""
        if self._closed:
            raise LogUnavailable("This member was closed.")
        found = self._consumer.fetch(timeout_s, records_max)
        if self._consumer.changes.pending:
            return self._changed()
        return Polled(records=found)

    def follow(self, source: TopicPartition, offset: int) -> None:
        """See the contract."""
        if source in self._owned and self._consumer.holds(source):
            self._consumer.go_to(source, offset)
            self._consumer.release(source)

    def wake(self) -> None:
        """See the contract."""
        self._consumer.wake()

    def close(self) -> None:
        """See the contract."""
        if not self._closed:
            self._closed = True
            self._consumer.leave(timeout_s=1.0)

    def _changed(self) -> Polled:
        """Report a rebalance. What is new has a position, so that Kafka is not asked for one."""
        changes = self._consumer.changes
        assigned, revoked = sorted(changes.assigned), sorted(changes.revoked & self._owned)
        changes.assigned.clear()
        changes.revoked.clear()
        self._owned = self._owned.difference(revoked).union(assigned)
        self._consumer.hold(assigned)
        for source in assigned:
            self._consumer.go_to(source, EARLIEST)
        return Polled(assigned=assigned, revoked=revoked)
