"""A consumer whose wait can be woken and that wastes nothing.

It does the steps of kafka-python's ``poll`` in the same order (``kafka_private.Stepped``) and
waits on one event, which a fetched response, a call to ``wake`` and a rebalance set.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence

import kafka.errors as errors
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.structs import TopicPartition as Source

from events.log.contract import LogError, Record, TopicPartition
from events.log.kafka_assignor import BalancedAssignor
from events.log.kafka_connection import CLIENT_DEFAULTS, Deadline, unavailable
from events.log.kafka_private import LoopEnded, Stepped

FETCH_WAIT_MS = 250

PATIENT: Mapping[str, object] = {"fetch_max_wait_ms": 5000, "request_timeout_ms": 7500}
"""Options for one partition that is only read on: idle, it costs a request in 5 s. A broker that
falls silent (and does not close its connections) is given up after 7.5 s."""

_READ_DEFAULTS: Mapping[str, object] = {
    **CLIENT_DEFAULTS,
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "allow_auto_create_topics": False,
    "partition_assignment_strategy": (BalancedAssignor,),
    # A long poll: the broker answers as soon as there is a byte. The limit is what a partition
    # that becomes ready waits for at most, beside one whose fetch is parked.
    "fetch_min_bytes": 1,
    "fetch_max_wait_ms": FETCH_WAIT_MS,
    # Who is far behind waits for fewer answers (a rebuild: 16.4 → 12.7 s, measured).
    "max_partition_fetch_bytes": 4 << 20,
    "retry_backoff_ms": 50,
}


class Changes(ConsumerRebalanceListener):  # type: ignore[misc]
    """What rebalances did since it was last asked. Called on the consumer's network thread,
    while the polling thread waits for the rebalance.

    A rebalance takes everything away and hands it out anew. What a member had in one
    generation and has again in the *next* was nobody else's in between, so it keeps its state;
    after a gap another may have had it, and it counts as lost and new.
    """

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._held: set[TopicPartition] = set()
        self._generation = -1
        self.assigned: set[TopicPartition] = set()
        self.revoked: set[TopicPartition] = set()

    def on_partitions_revoked(self, revoked: Collection[Source]) -> None:
        """A rebalance begins. What is lost by it shows when it ends."""

    def on_partitions_lost(self, lost: Collection[Source]) -> None:
        """This member was thrown out: its partitions are others' already."""
        self._lose(self._held)

    def on_partitions_assigned(self, assigned: Collection[Source]) -> None:
        """A rebalance has ended. Nothing is fetched of what is new until ``Consumer.resume``."""
        now: set[TopicPartition] = {(topic, number) for topic, number in assigned}
        generation = self._consumer.generation()
        kept = self._held & now if generation == self._generation + 1 else set()
        self._lose(self._held - kept)
        self._consumer.hold(now - kept)
        self.assigned |= now - kept
        self._held, self._generation = now, generation

    def _lose(self, sources: set[TopicPartition]) -> None:
        self.revoked |= sources
        self.assigned -= sources
        self._held = self._held - sources

    @property
    def pending(self) -> bool:
        """Whether there is anything to report. (Not ``__bool__``: kafka-python calls no
        listener that is false.)"""
        return bool(self.assigned or self.revoked)


class Consumer:
    """A consumer for one thread; only ``wake`` may be called from others."""

    def __init__(self, bootstrap: str, options: Mapping[str, object]) -> None:
        self._arrived = threading.Event()
        self._woken = False
        self.changes = Changes(self)
        settings = {**_READ_DEFAULTS, **options}
        try:
            self._stepped = Stepped(self._arrived.set, bootstrap_servers=bootstrap, **settings)
        except (errors.KafkaError, OSError) as error:
            raise unavailable("begin to read", error) from error

    def join(self, topics: Sequence[str]) -> None:
        """Become a member of the group at the next ``fetch``; changes go to ``changes``.

        The partitions must be known by then: the first to join is the one who shares them out.
        """
        self._stepped.subscribe(topics=list(topics), listener=self.changes)
        try:
            self._stepped.describe_topics(timeout_s=5.0)
        except errors.KafkaError as error:
            raise unavailable("describe topics", error) from error

    def take(self, sources: Iterable[TopicPartition]) -> None:
        """Read exactly these partitions."""
        self._stepped.assign([Source(*source) for source in sources])

    def fetch(self, timeout_s: float, records_max: int) -> list[Record]:
        """Records there are, or come in time; returns early, with none, for a ``wake``, a
        change of ownership, or when a position moved over what is no record.

        Raises ``LogUnavailable``, and ``LogError`` when this consumer can never go on.
        """
        deadline = Deadline(timeout_s)
        while True:
            self._arrived.clear()
            if not self._prepare(deadline) or self.changes.pending:
                return []
            before = self._stepped.consumed()
            try:
                found = self._stepped.take_fetched(records_max)
            except errors.KafkaError as error:  # not authorized, or gone
                raise unavailable("read", error) from error
            if found:
                return found
            if self._woken or deadline.passed or self._stepped.consumed() != before:
                self._woken = False
                return []
            self._arrived.wait(min(deadline.left_s, self._stepped.expect()))

    def wake(self) -> None:
        """From any thread: end a waiting ``fetch``, or the next one."""
        self._woken = True
        self._arrived.set()

    def generation(self) -> int:
        """The group's generation, as this member knows it."""
        return int(self._stepped.group_metadata().generation_id)

    def position_of(self, source: TopicPartition) -> int | None:
        """The offset of the next record, None while the broker has not been asked."""
        return self._stepped.position_of(source)

    def go_to(self, source: TopicPartition, offset: int) -> None:
        """Go on at ``offset``."""
        self._stepped.seek(Source(*source), offset)

    def hurry(self) -> None:
        """Wait at the broker no longer than others do: an end to ``PATIENT``."""
        self._stepped.wait_at_broker(FETCH_WAIT_MS)

    def holds(self, source: TopicPartition) -> bool:
        """Whether this partition is assigned to it."""
        return bool(self._stepped.mine([source]))

    def hold(self, sources: Iterable[TopicPartition]) -> None:
        """Stop delivering these partitions."""
        self._stepped.pause(*self._stepped.mine(sources))

    def release(self, source: TopicPartition) -> None:
        """Begin to deliver this partition."""
        self._stepped.resume(*self._stepped.mine([source]))

    def leave(self, timeout_s: float) -> None:
        """Leave the group and close."""
        self._stepped.leave(timeout_s)

    def _prepare(self, deadline: Deadline) -> bool:
        """Membership, positions and metadata, as ``KafkaConsumer._poll_once`` has them."""
        try:
            left_s = max(0.001, deadline.left_s)
            if not self._stepped.belong(left_s):
                return False
            if not self.changes.pending:
                self._stepped.validate_positions(left_s)
        except LoopEnded as error:
            raise LogError(f"A consumer of Kafka can never read again: {error}.") from error
        except errors.RetriableError:
            return not deadline.passed
        except errors.KafkaError as error:
            raise unavailable("go on reading", error) from error
        return True
