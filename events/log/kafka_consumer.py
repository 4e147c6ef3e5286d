"""kafka-python's consumer with a wait that can be woken and that wastes nothing.

The library's ``poll`` cannot be interrupted, sleeps in slices while nothing is fetchable, and
notices a rebalance only at its next heartbeat. This subclass does the same steps in the same
order and waits on one event, which a fetched response, a call to ``wake`` and a rebalance set.
It reaches into kafka-python's inner parts (``_coordinator``, ``_fetcher``, ``_subscription``),
which is why the version is pinned below 3.1; nothing outside this file does.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import kafka.errors as errors
from kafka import KafkaConsumer
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.coordinator.base import MemberState
from kafka.structs import TopicPartition as Source

from events.log.contract import TopicPartition
from events.log.kafka_assignor import BalancedAssignor
from events.log.kafka_connection import CLIENT_DEFAULTS, Deadline, new_client, unavailable

_READ_DEFAULTS: Mapping[str, object] = {
    **CLIENT_DEFAULTS,
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "allow_auto_create_topics": False,
    "partition_assignment_strategy": (BalancedAssignor,),
    # A long poll: the broker answers as soon as there is a byte. The limit is what a partition
    # that becomes ready waits for at most, beside one whose fetch is parked.
    "fetch_min_bytes": 1,
    # Who is far behind waits for fewer answers (a rebuild: 16.4 → 12.7 s, measured).
    "max_partition_fetch_bytes": 4 << 20,
    "fetch_max_wait_ms": 250,
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
        generation = self._consumer.group_metadata().generation_id
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


class Consumer(KafkaConsumer):  # type: ignore[misc]
    """A consumer for one thread; only ``wake`` may be called from others."""

    def __init__(self, bootstrap: str, options: Mapping[str, object]) -> None:
        self._arrived = threading.Event()
        self._woken = False
        self.changes = Changes(self)
        clients: list[Any] = []

        def client(**configs: Any) -> Any:
            clients.append(new_client(**configs))
            return clients[0]

        settings = {**_READ_DEFAULTS, **options, "kafka_client": client}
        try:
            super().__init__(bootstrap_servers=bootstrap, **settings)
        except (errors.KafkaError, OSError) as error:
            for each in clients:
                each.close()
            raise unavailable("begin to read", error) from error
        self._rejoin = self._coordinator.request_rejoin
        self._coordinator.request_rejoin = self._rejoin_at_once
        self._cluster.add_listener(self._signal)  # leaders are known: there is whom to ask

    def join(self, topics: Sequence[str]) -> None:
        """Become a member of the group at the next ``fetch``; changes go to ``changes``.

        The partitions must be known by then: the first to join is the one who shares them out.
        """
        self.subscribe(topics=list(topics), listener=self.changes)
        try:
            self._net.run(self._manager.wait_for, self._cluster.request_update(), 5000)
        except errors.KafkaError as error:
            raise unavailable("describe topics", error) from error

    def take(self, sources: Iterable[TopicPartition]) -> None:
        """Read exactly these partitions."""
        self.assign([Source(*source) for source in sources])

    def fetch(self, timeout_s: float, records_max: int) -> list[Any]:
        """Records as kafka-python gives them; returns early, with none, for a ``wake``, a
        change of ownership, or when a position moved over what is no record."""
        deadline = Deadline(timeout_s)
        while True:
            self._arrived.clear()
            if not self._prepare(deadline) or self.changes.pending:
                return []
            before = self._consumed()
            try:
                found, partial = self._fetcher.fetched_records(records_max)
            except errors.KafkaError as error:  # not authorized, or gone
                raise unavailable("read", error) from error
            if not partial:
                self._fetcher.send_fetches()
            if found:
                return [record for records in found.values() for record in records]
            if self._woken or deadline.passed or self._consumed() != before:
                self._woken = False
                return []
            self._wait(deadline)

    def wake(self) -> None:
        """From any thread: end a waiting ``fetch``, or the next one."""
        self._woken = True
        self._arrived.set()

    def position_of(self, source: TopicPartition) -> int | None:
        """The offset of the next record, None while the broker has not been asked."""
        state = self._subscription.assignment.get(Source(*source))
        return state.position.offset if state is not None and state.position else None

    def go_to(self, source: TopicPartition, offset: int) -> None:
        """Go on at ``offset``."""
        self.seek(Source(*source), offset)

    def holds(self, source: TopicPartition) -> bool:
        """Whether this partition is assigned to it."""
        return Source(*source) in self.assignment()

    def hold(self, sources: Iterable[TopicPartition]) -> None:
        """Stop delivering these partitions."""
        self.pause(*self.assignment().intersection(Source(*source) for source in sources))

    def release(self, source: TopicPartition) -> None:
        """Begin to deliver this partition."""
        self.resume(*self.assignment().intersection([Source(*source)]))

    def leave(self, timeout_s: float) -> None:
        """Leave the group and close."""
        with contextlib.suppress(errors.KafkaError, RuntimeError):
            self.close(autocommit=False, timeout_ms=timeout_s * 1000)

    def _rejoin_at_once(self) -> None:
        self._rejoin()
        self._arrived.set()

    def _consumed(self) -> int:
        positions = (state.position for state in self._subscription.assignment.values())
        return sum(position.offset for position in positions if position is not None)

    def _prepare(self, deadline: Deadline) -> bool:
        """Membership, positions and metadata, as ``KafkaConsumer._poll_once`` has them."""
        try:
            left_ms = max(1.0, deadline.left_s * 1000)
            if self._subscription.partitions_auto_assigned() and not self._belongs(left_ms):
                return False
            if self.changes.pending:
                return True
            if not self._subscription.has_all_fetch_positions():
                self._refresh_committed_offsets(timeout_ms=left_ms)
            self._fetcher.reset_offsets_if_needed()
            self._fetcher.maybe_validate_positions()
            self._fetcher.validate_offsets_if_needed()
        except errors.RetriableError:
            return not deadline.passed
        except errors.KafkaError as error:
            raise unavailable("go on reading", error) from error
        return True

    def _belongs(self, timeout_ms: float) -> bool:
        """Whether this is a member of the group, after joining anew where it has to."""
        coordinator = self._coordinator
        if coordinator.coordinator_unknown() or coordinator.need_rejoin():
            return bool(self._net.run(self._joined, timeout_ms))
        coordinator.poll_heartbeat()
        return True

    async def _joined(self, timeout_ms: float) -> bool:
        """Join, or take up the answer to a join that came when nobody waited any more.

        kafka-python forgets such an answer and joins again, which makes all others join again;
        where polls are shorter than a rebalance, that goes on for ever.
        """
        coordinator = self._coordinator
        if not await coordinator.ensure_coordinator_ready_async(timeout_ms=timeout_ms):
            return False
        answer = coordinator._join_task
        if answer is None or not answer.is_done or answer.failed():
            return bool(await coordinator.ensure_active_group_async(timeout_ms=timeout_ms))
        coordinator._join_task = None
        with coordinator._lock:
            coordinator.rejoining = coordinator.rejoin_needed = False
            coordinator.state = MemberState.STABLE
            coordinator._enable_heartbeat()
        got = coordinator._generation
        await coordinator._on_join_complete_async(
            got.generation_id, got.member_id, got.protocol, answer.value
        )
        return True

    def _wait(self, deadline: Deadline) -> None:
        if self._fetcher._completed_fetches:
            return  # answered between the drain and the new requests, which forget such futures
        limit_s = 1.0  # the heartbeat's own loop needs no help; this lets its failures show
        for future in list(self._fetcher._fetch_futures):
            if future.is_done and future.failed():
                limit_s = 0.1  # refused at once: the broker is away, and asking is all there is
            else:
                future.add_both(self._signal)
        reset = self._fetcher._reset_task
        if reset is not None and not reset.is_done:
            reset.add_both(self._signal)
        self._arrived.wait(min(deadline.left_s, limit_s))

    def _signal(self, _: object) -> None:
        self._arrived.set()
