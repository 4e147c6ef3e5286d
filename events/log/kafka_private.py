"""All that this log uses of kafka-python's private parts, in one place; hence the pin below 3.1.

``Client`` is the library's network client: connections and metadata on an event loop, in a
thread of its own. ``Stepped`` is its consumer, whose ``poll`` is taken apart into steps, because
it cannot be interrupted, sleeps in slices while nothing is fetchable, and notices a rebalance
only at its next heartbeat. Its records are decoded by ``kafka_decoding``. Tests of these, against
the library: ``test_kafka_private.py``.
"""

from __future__ import annotations

import contextlib
import selectors
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import kafka.errors as errors
from kafka import KafkaConsumer
from kafka.consumer.fetcher import Fetcher
from kafka.coordinator.base import MemberState
from kafka.net.compat import KafkaNetClient
from kafka.structs import TopicPartition as Source

from events.log.contract import Record, TopicPartition
from events.log.kafka_decoding import records_in

Answer = TypeVar("Answer")

FORMAT = 2
"""Of record batches, since Kafka 0.11."""

_LOOK_S = 1.0  # at the loop, whether it still runs


class LoopEnded(errors.KafkaError):  # type: ignore[misc]
    """The event loop has ended by an error of its own, or was closed."""


class Selector(selectors.DefaultSelector):
    """Which sockets the event loop waits for.

    Before each wait the library asks for the socket's key, and there is none. The standard
    library's answer to that names the socket, both its addresses asked of the kernel: 32 us a wait
    where 4 do (measured).
    """

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        """The key of a socket, or of its number. Raises ``KeyError``, or ``ValueError`` where it
        is closed and was not there."""
        number = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        return super().get_key(fileobj if number < 0 else number)


def _net_client(**options: Any) -> Any:
    """The library's client, which connects or fails within 3 s, and which never makes a topic
    by asking for it (kafka-python loses that option on its way)."""
    setup = {"socket_connection_setup_timeout_ms": 3000}
    setup |= {"socket_connection_setup_timeout_max_ms": 3000, "slow_task_threshold_secs": 0}
    client = KafkaNetClient(**{**setup, **options, "selector": Selector})
    client.cluster.config["allow_auto_create_topics"] = False
    return client


class Client:
    """Connections to a cluster. ``run`` may be called from any thread, ``close`` too; all else
    belongs to coroutines that ``run`` runs."""

    def __init__(self, options: Mapping[str, object], timeout_s: float) -> None:
        self._client = _net_client(**options)
        self._net, self._manager = self._client._net, self._client._manager
        self._net.start()
        try:
            self.run(self._bootstrap, timeout_s, limit_s=timeout_s + _LOOK_S)
        except BaseException:
            self.close()
            raise

    async def _bootstrap(self, timeout_s: float) -> None:
        await self._manager.bootstrap_async(timeout_s * 1000)

    @property
    def is_alive(self) -> bool:
        """Whether the event loop runs."""
        return _is_alive(self._net)

    def run(self, call: Callable[..., Awaitable[Answer]], *args: object, limit_s: float) -> Answer:
        """Run ``call(*args)`` on the event loop and wait for it, for at most ``limit_s``.

        Raises ``LoopEnded``, ``KafkaTimeoutError``, or what the call raises. (The library's own
        ``run`` waits for as long as it takes, whatever holds the loop up.)
        """
        if not self.is_alive:
            raise LoopEnded("its event loop has ended")
        done = threading.Event()
        answer = self._manager.call_soon(call, *args)
        answer.add_both(lambda _: done.set())
        end = time.monotonic() + limit_s
        while not done.wait(min(_LOOK_S, max(0.0, end - time.monotonic()))):
            if not self.is_alive:
                raise LoopEnded("its event loop has ended")
            if time.monotonic() >= end:
                raise errors.KafkaTimeoutError("its event loop does not answer")
        if answer.exception is not None:
            raise answer.exception
        found: Answer = answer.value
        return found

    def close(self) -> None:
        """Close the connections and end the loop's thread, also of one that has ended by itself."""
        _make_closable(self._net)
        with contextlib.suppress(errors.KafkaError, OSError, RuntimeError):
            self._client.close()

    def begin(self, call: Callable[[], Awaitable[None]]) -> None:
        """Run ``call()`` beside what runs now."""
        self._manager.call_soon(call)

    async def sleep(self, seconds: float) -> None:
        """Wait on the event loop."""
        await self._net.sleep(seconds)

    async def wait_for(self, future: Any, seconds: float) -> Any:
        """What a future gives; raises ``KafkaTimeoutError`` after the time."""
        return await self._manager.wait_for(future, seconds * 1000)

    def post(self, request: Any, node: Any, timeout_s: float) -> Any:
        """Send a request to ``node`` (None: any): a future. Raises ``KafkaError``."""
        return self._manager.send(request, node_id=node, request_timeout_ms=timeout_s * 1000)

    def leader_of(self, source: TopicPartition) -> Any:
        """The node that leads a partition; -1 while there is none, None when not known."""
        return self._manager.cluster.leader_for_partition(Source(*source))

    def follow(self, topic: str) -> None:
        """Keep a topic's metadata from now on."""
        self._manager.cluster.add_topic(topic)

    def unfollow(self, topic: str) -> None:
        """Ask no more for a topic that is not there; the library would, for ever."""
        self._manager.cluster._topics.discard(topic)

    async def refresh(self, timeout_s: float) -> None:
        """Fetch the metadata of all that is followed."""
        await self.wait_for(self._manager.cluster.request_update(), timeout_s)

    @property
    def cluster_id(self) -> str | None:
        """The cluster's id, once the metadata are there."""
        found: str | None = self._manager.cluster.cluster_id
        return found

    def coordinator(self, key_type: int, key: str, found: Any) -> Any:
        """The node that an answer names as the coordinator of ``key``. Raises ``KafkaError``."""
        return self._manager.cluster.add_coordinator(found, key_type, key)


class Fetched(Fetcher.PartitionRecords):  # type: ignore[misc]
    """What the broker has answered for one partition, as the log's records instead of the
    library's. Transactions are not looked at: a log has none."""

    def _unpack_records(
        self, tp: Any, records: Any, key_deserializer: object, value_deserializer: object
    ) -> Iterator[Record]:
        while (batch := records.next_batch()) is not None:
            found = self._decoded((tp.topic, tp.partition), batch)
            self.leader_epoch = batch.leader_epoch
            for record in found:
                self.records_read += 1
                self.next_fetch_offset = record.offset + 1
                yield record
            self.bytes_read += batch.size_in_bytes
            self.next_fetch_offset = batch.next_offset
        self.drain()

    def _decoded(self, source: TopicPartition, batch: Any) -> list[Record]:
        """The records of a batch, none of one with which the broker ends a transaction. Raises
        ``CorruptRecordError``."""
        place = f"the batch at {source[0]}/{source[1]} offset {batch.base_offset}"
        if batch.magic < FORMAT:
            raise errors.CorruptRecordError(f"{place} has the format of before Kafka 0.11")
        if not batch.validate_crc():
            raise errors.CorruptRecordError(f"{place} has another checksum")
        if batch.is_control_batch:
            return []
        batch._maybe_uncompress()
        appended_ms = batch.max_timestamp if batch.timestamp_type else None
        first = (batch.base_offset, batch.first_timestamp)
        try:
            buffer, count = bytes(batch._buffer), batch.records_count
            return records_in(buffer, batch._pos, count, source, *first, appended_ms)
        except (ValueError, IndexError) as error:
            raise errors.CorruptRecordError(f"{place} cannot be read: {error}") from error


class Stepped(KafkaConsumer):  # type: ignore[misc]
    """The library's consumer in steps. ``arrived`` is called from its network thread, when there
    may be something to do: a response, a rebalance, metadata."""

    def __init__(self, arrived: Callable[[], None], **settings: object) -> None:
        self._tell = arrived
        clients: list[Any] = []

        def client(**configs: Any) -> Any:
            clients.append(_net_client(**configs))
            return clients[0]

        try:
            super().__init__(**settings, kafka_client=client)
        except BaseException:
            for each in clients:
                each.close()
            raise
        self._fetcher.PartitionRecords = Fetched
        self._rejoin = self._coordinator.request_rejoin
        self._coordinator.request_rejoin = self._rejoin_at_once
        self._cluster.add_listener(self._signal)  # leaders are known: there is whom to ask

    def describe_topics(self, timeout_s: float) -> None:
        """Wait until the partitions of what it subscribes to are known."""
        update = self._cluster.request_update()
        self._net.run(self._manager.wait_for, update, timeout_s * 1000)

    def belong(self, timeout_s: float) -> bool:
        """Whether this is a member of the group, or reads without one; joins where it has to."""
        if not _is_alive(self._net):
            raise LoopEnded("its event loop has ended")
        coordinator = self._coordinator
        if not self._subscription.partitions_auto_assigned():
            return True
        rejoins = coordinator.rejoining or coordinator.need_rejoin()
        if rejoins or coordinator.coordinator_unknown():
            return bool(self._net.run(self._joined, timeout_s * 1000))
        coordinator.poll_heartbeat()
        return True

    def validate_positions(self, timeout_s: float) -> None:
        """See to it that each partition has a position, and that it is one."""
        if not self._subscription.has_all_fetch_positions():
            self._refresh_committed_offsets(timeout_ms=timeout_s * 1000)
        self._fetcher.reset_offsets_if_needed()
        self._fetcher.maybe_validate_positions()
        self._fetcher.validate_offsets_if_needed()

    def take_fetched(self, records_max: int) -> list[Record]:
        """Records that have been fetched; asks for more where all are taken."""
        found, partial = self._fetcher.fetched_records(records_max)
        if not partial:
            self._fetcher.send_fetches()
        return [record for records in found.values() for record in records]

    def expect(self) -> float:
        """See to it that ``arrived`` is called; for how many seconds to wait for it at most."""
        if self._fetcher._completed_fetches:
            return 0.0  # answered between the drain and the new requests, which forget such futures
        limit_s = 1.0  # the heartbeat's own loop needs no help; this lets its failures show
        for future in list(self._fetcher._fetch_futures):
            if future.is_done and future.failed():
                limit_s = 0.1  # refused at once: the broker is away, and asking is all there is
            else:
                future.add_both(self._signal)
        reset = self._fetcher._reset_task
        if reset is not None and not reset.is_done:
            reset.add_both(self._signal)
        return limit_s

    def wait_at_broker(self, wait_ms: int) -> None:
        """How long a request waits at the broker for a first record, from the next one on."""
        self._fetcher.config["fetch_max_wait_ms"] = wait_ms

    def position_of(self, source: TopicPartition) -> int | None:
        """The offset of the next record, None while the broker has not been asked."""
        state = self._subscription.assignment.get(Source(*source))
        return state.position.offset if state is not None and state.position else None

    def consumed(self) -> int:
        """A number that grows with each position."""
        positions = (state.position for state in self._subscription.assignment.values())
        return sum(position.offset for position in positions if position is not None)

    def mine(self, sources: Iterable[TopicPartition]) -> set[Any]:
        """Those of these partitions that are assigned to it, as the library names them."""
        return set(self.assignment().intersection(Source(*source) for source in sources))

    def leave(self, timeout_s: float) -> None:
        """Leave the group and close."""
        _make_closable(self._net)
        with contextlib.suppress(errors.KafkaError, OSError, RuntimeError):
            self.close(autocommit=False, timeout_ms=timeout_s * 1000)

    async def _joined(self, timeout_ms: float) -> bool:
        """Join, or take up the answer to a join that came when nobody waited any more.

        kafka-python forgets such an answer and joins again, which makes all others join again;
        where polls are shorter than a rebalance, that goes on for ever. It also forgets a join
        whose reason went away meanwhile: that is brought to its end, too, for until then it reads
        nothing and sends no heartbeat.
        """
        coordinator = self._coordinator
        if not await coordinator.ensure_coordinator_ready_async(timeout_ms=timeout_ms):
            return False
        answer = coordinator._join_task
        if answer is None or not answer.is_done or answer.failed():
            coordinator.rejoin_needed = coordinator.rejoin_needed or coordinator.rejoining
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

    def _rejoin_at_once(self) -> None:
        self._rejoin()
        self._tell()

    def _signal(self, _: object) -> None:
        self._tell()


def _make_closable(net: Any) -> None:
    """Let a loop that has ended by an error be driven by the thread that closes it. (The library
    raises that error again instead, and leaves the sockets open.)"""
    if net._exception is not None:
        net._exception, net._io_thread = None, None


def _is_alive(net: Any) -> bool:
    thread = net._io_thread
    return net._exception is None and not net._closed and thread is not None and thread.is_alive()
