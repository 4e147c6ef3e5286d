"""A worker of a Kafka log: consumes what it owns, writes what follows, exactly once.

The fence is Kafka's. A member's offsets carry its generation of the group, so a transaction
of one that was thrown out is refused (KIP-447); therefore every transaction of a member moves
at least one offset, if only to where it was. A fixed worker's transactional id is its name,
and a later worker of that name takes it. The generation is read where a rebalance has been
reported to the caller, never when a transaction begins: a member that was thrown out
meanwhile must not pass for one without a group.

After ``Fenced`` or ``rewind`` the next ``poll`` gives everything back and takes it anew from
the committed offsets, which is also all that a crash needs.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence

from events.log.contract import Fenced, Outgoing, Polled, TopicPartition
from events.log.kafka_consumer import Consumer
from events.log.kafka_records import addressed, read
from events.log.kafka_requests import Membership
from events.log.kafka_transactions import Transactions

Counts = Callable[[set[str]], Mapping[str, int]]


class KafkaWorker:
    """A ``contract.Worker``. With ``sources`` it is a fixed one, else a member of ``group``."""

    def __init__(
        self,
        consumer: Consumer,
        transactions: Transactions,
        group: str,
        sources: Sequence[TopicPartition] | None,
        counts: Counts,
        timeout_s: float,
    ) -> None:
        self._consumer = consumer
        self._transactions = transactions
        self._group = group
        self._fixed = sources is not None
        self._counts = counts
        self._timeout_s = timeout_s
        self._note = uuid.uuid4().hex
        self._owned: set[TopicPartition] = set()
        self._next: dict[TopicPartition, int] = {}
        self._membership: Membership | None = None
        self._again = False
        self._fenced: Fenced | None = None
        self._closed = False
        transactions.take(timeout_s)
        if sources is not None:
            self._membership = Membership(group)
            consumer.take(sources)
            consumer.hold(sources)
            consumer.changes.assigned.update(sources)
            self._claim(sources)

    def join(self, topics: Sequence[str]) -> None:
        """Become a member at the first poll; once, before it."""
        self._consumer.join(topics)

    def poll(self, timeout_s: float, records_max: int = 500) -> Polled:
        """New records of ready partitions and changes of ownership."""
        if self._fenced is not None:
            raise self._fenced
        if self._again:
            if not self._fixed and self._consumer.must_join:
                self._consumer.hold(self._owned)
                self._consumer.fetch(timeout_s, 1)
                if self._consumer.must_join:
                    return Polled()
            return self._start_anew()
        found = self._consumer.fetch(timeout_s, records_max)
        if self._consumer.changes.pending:
            return self._changed()
        if not self._fixed:
            self._membership = self._consumer.membership(self._group) or self._membership
        return Polled(records=[read(record) for record in found])

    def ready(self, source: TopicPartition) -> None:
        """Begin to deliver this partition's records."""
        if source in self._owned and not self._again:
            self._consumer.release(source)

    def transact(self, records: Sequence[Outgoing], offsets: Mapping[TopicPartition, int]) -> None:
        """Write all records and move the offsets, or neither."""
        if self._fenced is not None:
            raise self._fenced
        chosen = addressed(records, self._counts({record.topic for record in records}))
        membership = self._membership
        if self._again or membership is None or not self._owned.issuperset(offsets):
            raise Fenced(f"This worker of {self._group} does not own what it wanted to move.")
        moved = dict(offsets) or self._standing_still()
        try:
            self._transactions.commit(
                chosen,
                {source: (offset, self._note) for source, offset in moved.items()},
                membership,
                self._timeout_s,
            )
        except Fenced as error:
            self._again = True
            if self._fixed:
                self._fenced = error
            else:
                self._consumer.rejoin()
            raise
        self._next.update(moved)

    def rewind(self) -> None:
        """Settle the open transaction; the next ``poll`` starts anew."""
        self._again = True
        self._settle()

    def wake(self) -> None:
        """Make a waiting ``poll`` return now."""
        self._consumer.wake()

    def close(self) -> None:
        """Leave the group."""
        if not self._closed:
            self._closed = True
            self._consumer.leave(timeout_s=1.0)

    def _changed(self) -> Polled:
        """Report a rebalance, with the offsets that the new partitions go on from."""
        changes = self._consumer.changes
        assigned, revoked = sorted(changes.assigned), sorted(changes.revoked & self._owned)
        if assigned:
            self._go_to_committed(assigned)
        changes.assigned.clear()
        changes.revoked.clear()
        self._owned = self._owned.difference(revoked).union(assigned)
        for source in revoked:
            self._next.pop(source, None)
        if not self._fixed:
            self._membership = self._consumer.membership(self._group)
        return Polled(assigned=assigned, revoked=revoked)

    def _start_anew(self) -> Polled:
        """Give back all that was reported and take what is still ours."""
        self._settle()
        changes = self._consumer.changes
        owned = sorted(self._owned)
        kept = sorted(self._owned - changes.revoked)
        self._consumer.hold(kept)
        self._go_to_committed(kept)
        self._owned = set(kept)
        changes.revoked.clear()
        self._again = False
        return Polled(assigned=kept, revoked=owned)

    def _settle(self) -> None:
        if not self._transactions.in_doubt:
            return
        if not self._fixed:  # nobody else ever uses a member's id
            return self._transactions.take(self._timeout_s)
        try:
            self._transactions.recover(self._timeout_s)
        except Fenced as error:
            if not self._still_mine():
                self._fenced = error
                raise
            self._transactions.take(self._timeout_s)

    def _go_to_committed(self, sources: Sequence[TopicPartition]) -> None:
        if not sources:
            return
        committed = self._consumer.committed_of(sources, self._timeout_s)
        for source in sources:
            offset = committed.get(source, (None, ""))[0]
            self._next[source] = offset or 0
            self._consumer.go_to(source, offset)

    def _standing_still(self) -> dict[TopicPartition, int]:
        """An offset to move to where it is, so that the generation is checked."""
        if not self._owned:
            raise Fenced(f"This worker of {self._group} owns no partition.")
        source = min(self._owned)
        return {source: self._next[source]}

    def _claim(self, sources: Sequence[TopicPartition]) -> None:
        """Leave a note that tells a transaction timed out from one that a successor ended."""
        source = min(sources)
        offset = self._consumer.committed_of([source], self._timeout_s).get(source, (0, ""))[0]
        self._transactions.commit(
            [], {source: (offset, self._note)}, Membership(self._group), self._timeout_s
        )

    def _still_mine(self) -> bool:
        """Whether the last note in the group is this worker's.

        The broker also takes a transactional id's epoch away from a transaction that stayed
        open for too long (an outage), which looks the same as a successor.
        """
        source = min(self._consumer_sources())
        note = self._consumer.committed_of([source], self._timeout_s).get(source, (0, ""))[1]
        return note == self._note

    def _consumer_sources(self) -> set[TopicPartition]:
        return self._owned or self._consumer.changes.assigned
