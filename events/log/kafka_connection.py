"""One connection to a Kafka cluster for requests of our own, on kafka-python's event loop.

Everything here is bounded: a request without an answer fails at the caller's deadline, and a
broker that does not answer costs its connection. Thread-safe; opened at the first use, and again
in a forked child, which must not use its parent's sockets, and when the event loop has ended.
Long polls never go over this connection (a broker answers one connection's requests in turn, so
a parked fetch would hold up whatever follows it).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import kafka.errors as errors
from kafka import KafkaConsumer
from kafka.future import Future
from kafka.protocol.metadata import FindCoordinatorRequest, MetadataRequest

from events.log.contract import LogUnavailable, TopicMismatch, TopicPartition
from events.log.kafka_private import Client

Answer = TypeVar("Answer")

REQUEST_TIMEOUT_MS = 5000
"""Without an answer for that long, a connection is given up."""

# For all clients. 500 ms: the back-off's own limit of 30 s is longer than most outages.
CLIENT_DEFAULTS: Mapping[str, object] = {
    "reconnect_backoff_ms": 50,
    "reconnect_backoff_max_ms": 500,
    "request_timeout_ms": REQUEST_TIMEOUT_MS,
    "bootstrap_timeout_ms": 5000,
    "metrics_enabled": False,
}

ANSWER_BYTES_MAX = 16 << 20
"""Of one request. kafka-python's own limit here, 1 MB, is less than one of our batches may have."""

RETRY_S = 0.05
"""Pause before a request is tried again."""

# What a site sets for all clients; the rest of kafka-python's options is this log's own affair.
CLIENT_OPTIONS = ("security_protocol", "ssl_", "sasl_", "proxy_url", "client_dns_lookup")

_TRANSACTIONAL_ID = 1  # a type of FindCoordinator's keys

_GRACE_S = 2.0  # a call ends by itself at its deadline; a loop that is held up does not


class Deadline:
    """A point in time to be done by."""

    def __init__(self, timeout_s: float) -> None:
        self.at = time.monotonic() + timeout_s

    @property
    def left_s(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return time.monotonic() >= self.at


def unavailable(doing: str, error: BaseException | str) -> LogUnavailable:
    """The sentence for an operator about a Kafka failure."""
    reason = error if isinstance(error, str) else (str(error) or type(error).__name__)
    return LogUnavailable(f"Kafka could not {doing}: {reason}.")


def checked_options(options: Mapping[str, object]) -> dict[str, object]:
    """Client options as given, all of them known. Raises ``ValueError``."""
    known = {name for name in KafkaConsumer.DEFAULT_CONFIG if name.startswith(CLIENT_OPTIONS)}
    unknown = sorted(set(options) - known)
    if unknown:
        wanted, offered = ", ".join(unknown), ", ".join(sorted(known))
        raise ValueError(f"Kafka clients have no option {wanted}: there are {offered}.")
    return dict(options)


class Connection:
    """Requests to a cluster, each with a deadline."""

    def __init__(self, bootstrap: str, options: Mapping[str, object], client_id: str) -> None:
        self._bootstrap = bootstrap
        self._options = {**CLIENT_DEFAULTS, **options, "client_id": client_id}
        self._lock = threading.Lock()
        self._client: Client | None = None
        self.session = 0
        """Counts its clients: one for each process, and one more after each end of a loop."""
        self._pid = 0
        self._closed = False

    def run(
        self, doing: str, timeout_s: float, call: Callable[..., Awaitable[Answer]], *args: object
    ) -> Answer:
        """Run ``call(*args, deadline)`` on the event loop; Kafka's errors as ``LogUnavailable``."""
        deadline = Deadline(timeout_s)
        client = self._open(doing, deadline)
        try:
            return client.run(call, *args, deadline, limit_s=deadline.left_s + _GRACE_S)
        except (errors.KafkaError, OSError) as error:
            raise unavailable(doing, error) from error

    def close(self) -> None:
        """Close the sockets and end the loop's thread."""
        with self._lock:
            self._closed = True
            if self._client is not None and self._pid == os.getpid():
                self._client.close()
            self._client = None

    # The rest is for coroutines that ``run`` runs.

    @property
    def client(self) -> Client:
        """What runs them. Raises ``KafkaConnectionError`` when it was closed meanwhile."""
        if self._client is None:
            raise errors.KafkaConnectionError("the connection was closed")
        return self._client

    def post(self, request: Any, deadline: Deadline, node: Any = None) -> Any:
        """Send a request to ``node`` (or any broker): a future, which fails by the deadline."""
        timeout_s = min(deadline.left_s, REQUEST_TIMEOUT_MS / 1000)
        if timeout_s <= 0:
            return Future().failure(errors.KafkaTimeoutError("the time for it is over"))
        try:
            return self.client.post(request, node, timeout_s)
        except errors.UnknownBrokerIdError as error:  # it left: who leads now is in the metadata
            return Future().failure(errors.StaleMetadata(str(error)))
        except errors.KafkaError as error:
            return Future().failure(error)

    async def send(self, request: Any, deadline: Deadline, node: Any = None) -> Any:
        """The answer to a request; raises a ``KafkaError`` by the deadline."""
        return await self.post(request, deadline, node)

    async def id_coordinator(self, name: str, deadline: Deadline) -> Any:
        """The node that gives out the epochs of a transactional id."""
        request = FindCoordinatorRequest(
            key=name, key_type=_TRANSACTIONAL_ID, coordinator_keys=[name]
        )
        while True:
            try:
                response = await self.send(request, deadline)
                found = response.coordinators[0] if response.coordinators else response
                return self.client.coordinator(_TRANSACTIONAL_ID, name, found)
            except errors.RetriableError as error:
                await self.pause(deadline, error, 0.02)

    async def partitions(self, topic: str, deadline: Deadline) -> int:
        """How many partitions a topic has; 0 when there is no such topic."""
        wanted = MetadataRequest.MetadataRequestTopic(name=topic)
        request = MetadataRequest(topics=[wanted], allow_auto_topic_creation=False, min_version=4)
        while True:
            try:
                found = (await self.send(request, deadline)).topics[0]
                error = errors.for_code(found.error_code)
                if error in (errors.UnknownTopicOrPartitionError, errors.InvalidTopicError):
                    return 0
                if error is not errors.NoError:
                    raise error(topic)
                return len(found.partitions)
            except errors.RetriableError as error:
                await self.pause(deadline, error)

    async def leader(self, source: TopicPartition, deadline: Deadline) -> Any:
        """The node that leads a partition. Raises ``TopicMismatch`` when there is none such."""
        while True:
            node = self.client.leader_of(source)
            if node is not None and node != -1:
                return node
            # Only what exists is followed: kafka-python asks for ever after what does not.
            count = await self.partitions(source[0], deadline) if node is None else 0
            if node is None and count <= source[1]:
                if not count:
                    self.client.unfollow(source[0])
                raise TopicMismatch(f"Topic {source[0]} has no partition {source[1]}.")
            self.client.follow(source[0])
            await self.refresh(deadline)
            if self.client.leader_of(source) in (None, -1):
                await self.pause(deadline, errors.LeaderNotAvailableError())

    async def refresh(self, deadline: Deadline) -> None:
        """Fetch the metadata anew of all topics that are followed."""
        while True:
            try:
                return await self.client.refresh(deadline.left_s)
            except errors.UnknownTopicOrPartitionError:
                return  # it was deleted: for whoever asked to find out
            except errors.RetriableError as error:
                await self.pause(deadline, error)

    async def pause(
        self, deadline: Deadline, error: BaseException, seconds: float = RETRY_S
    ) -> None:
        """Wait before another try after ``error``, or raise it when the time is over."""
        if deadline.left_s <= seconds:
            raise error
        await self.client.sleep(seconds)

    def _open(self, doing: str, deadline: Deadline) -> Client:
        with self._lock:
            if self._closed:
                raise unavailable(doing, "this log was closed")
            if self._client is not None and self._pid == os.getpid():
                if self._client.is_alive:
                    return self._client
                self._client.close()
            self._client = None
            self._client = self._connected(doing, deadline)
            self._pid = os.getpid()
            self.session += 1
            return self._client

    def _connected(self, doing: str, deadline: Deadline) -> Client:
        options = {
            "bootstrap_servers": self._bootstrap,
            "max_in_flight_requests_per_connection": 1000,
            "receive_message_max_bytes": ANSWER_BYTES_MAX,
            **self._options,
        }
        try:
            return Client(options, max(1.0, deadline.left_s))
        except (errors.KafkaError, OSError) as error:
            raise unavailable(doing, error) from error
