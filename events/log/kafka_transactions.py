"""Kafka transactions of one transactional id, driven request by request.

kafka-python's own transactional producer can wait for ever in a commit when the broker is
killed in the middle of one, takes five round trips in turn for each transaction, and takes
its id back from a rightful successor when it starts anew. This one uses the library's
connections, protocol and record format, and keeps three rules of its own:

- every step ends by the caller's deadline; what is then unknown is marked *in doubt*, and no
  new transaction begins before ``recover`` has settled it;
- all requests before ``EndTxn`` may be repeated (sequence numbers see to the records), so a
  lost connection costs a retry, not a transaction;
- ``recover`` never takes the id from a successor, unless told that there is none.

With transactions of version 2 (Kafka 4, KIP-890) the broker itself adds partitions and
offsets to the transaction, and each transaction has an epoch of its own: produce, offsets,
end. Before, ``AddPartitionsToTxn`` and ``AddOffsetsToTxn`` go first, in one go.

Crash at any step: the broker aborts the open transaction after ``timeout_ms``, at the latest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import kafka.errors as errors

from events.log import kafka_requests as requests
from events.log.contract import Fenced, LogUnavailable, Outgoing, TopicPartition
from events.log.kafka_connection import GROUP, TRANSACTION, Connection, Deadline, unavailable
from events.log.kafka_produce import TOO_LARGE, Producer, Sending, produce, too_large
from events.log.kafka_records import batches
from events.log.kafka_requests import Membership

_FENCED = (errors.ProducerFencedError, errors.InvalidProducerEpochError)
_STALE_MEMBER = (
    errors.IllegalGenerationError,
    errors.UnknownMemberIdError,
    errors.FencedInstanceIdError,
)


class Transactions:
    """The transactions of one id, one at a time, from one thread."""

    def __init__(
        self, connection: Connection, transactional_id: str, group: str, timeout_ms: int
    ) -> None:
        self._connection = connection
        self._id = transactional_id
        self._group = group
        self._timeout_ms = timeout_ms
        self._producer = Producer(transactional_id)
        self._coordinators: dict[int, Any] = {}
        self._version = 1
        self.in_doubt = True  # an id is ours once the broker has said so
        self._open = False

    def take(self, timeout_s: float) -> None:
        """Take the id from whoever had it; their open transaction is aborted."""
        self._connection.run("begin a session of transactions", timeout_s, self._take)

    def recover(self, timeout_s: float) -> None:
        """Settle a transaction in doubt: committed or aborted when this returns.

        Raises ``Fenced`` when the id has been taken by another since, and ``LogUnavailable``
        when it stays in doubt.
        """
        self._connection.run("settle a transaction", timeout_s, self._recover)

    def commit(
        self,
        records: Sequence[Outgoing],
        offsets: Mapping[TopicPartition, tuple[int, str]],
        membership: Membership,
        timeout_s: float,
    ) -> None:
        """Write ``records`` (partitions given) and ``offsets`` (with a note each), or neither.

        Raises ``Fenced`` and ``RecordTooLarge`` (nothing written) or ``LogUnavailable``.
        """
        if self.in_doubt:
            raise LogUnavailable("The outcome of the transaction before is not settled yet.")
        self._connection.run(
            "commit a transaction", timeout_s, self._commit, records, offsets, membership
        )

    async def _commit(
        self,
        records: Sequence[Outgoing],
        offsets: Mapping[TopicPartition, tuple[int, str]],
        membership: Membership,
        deadline: Deadline,
    ) -> None:
        self.in_doubt = True
        self._open = True
        try:
            if self._version < 2:
                await self._add(records, bool(offsets), deadline)
            await self._produce(records, deadline)
            if offsets:
                await self._offsets(offsets, membership, deadline)
        except TOO_LARGE as error:
            await self._abandon(deadline)
            raise too_large(error) from error
        except _STALE_MEMBER as error:
            await self._abandon(deadline)
            raise Fenced(
                f"This member of {self._group} is one no more ({type(error).__name__})."
            ) from error
        except _FENCED as error:
            raise Fenced(f"The transactional id {self._id} was taken by another.") from error
        except errors.KafkaError as error:
            await self._abandon(deadline)
            raise unavailable("take a transaction", error) from error
        await self._finish(deadline)

    async def _finish(self, deadline: Deadline) -> None:
        """Send the commit. Once it is on its way, only an answer ends the doubt."""
        try:
            await self._end(True, deadline)
        except errors.KafkaError as error:
            raise unavailable("say how a transaction ended", error) from error
        self.in_doubt = False

    async def _abandon(self, deadline: Deadline) -> None:
        """Abort after a failure; if even that fails, ``recover`` has to."""
        try:
            await self._end(False, Deadline(max(0.5, min(2.0, deadline.left_s))))
        except errors.KafkaError:
            return
        self.in_doubt = False

    async def _take(self, deadline: Deadline) -> None:
        await self._init(-1, -1, deadline)

    async def _recover(self, deadline: Deadline) -> None:
        if not self.in_doubt:
            return
        try:
            if self._open:
                await self._settle(deadline)
            await self._init(self._producer.id, self._producer.epoch, deadline)
        except _FENCED as error:
            raise Fenced(f"The transactional id {self._id} was taken by another.") from error

    async def _settle(self, deadline: Deadline) -> None:
        """Abort what may be open. What was committed already says so, which is as good."""
        try:
            await self._end(False, deadline)
        except errors.InvalidTxnStateError:
            self._open = False

    async def _init(self, producer: int, epoch: int, deadline: Deadline) -> None:
        """A fresh epoch: of ours if it still is ours (``producer``), or of whoever's (-1)."""
        node = await self._coordinator(TRANSACTION, self._id, deadline)
        features = await self._connection.features(deadline, node)
        request = requests.init_producer(self._id, self._timeout_ms, producer, epoch)
        response = await self._ask(TRANSACTION, request, deadline)
        self._producer.renewed(response.producer_id, response.producer_epoch)
        self._version = 2 if features.get("transaction.version", 0) >= 2 else 1
        self._producer.versions = (12, 12) if self._version == 2 else (3, 11)
        self.in_doubt = self._open = False

    async def _add(self, records: Sequence[Outgoing], offsets: bool, deadline: Deadline) -> None:
        """Tell the coordinator what the transaction will touch (version 1)."""
        if records:
            touched = {(record.topic, record.partition or 0) for record in records}
            await self._ask(TRANSACTION, requests.add_partitions(self._producer, touched), deadline)
        if offsets:
            await self._ask(
                TRANSACTION, requests.add_offsets(self._producer, self._group), deadline
            )

    async def _produce(self, records: Sequence[Outgoing], deadline: Deadline) -> None:
        """Write the records, a batch of each partition in a request (Kafka allows no more)."""
        pending = batches(records)
        while pending:
            wave = {source: Sending(self._producer, each[0]) for source, each in pending.items()}
            outcomes = await produce(self._connection, wave, deadline)
            for outcome in outcomes.values():
                if not isinstance(outcome, int):
                    raise outcome
            pending = {source: each[1:] for source, each in pending.items() if len(each) > 1}

    async def _offsets(
        self,
        offsets: Mapping[TopicPartition, tuple[int, str]],
        membership: Membership,
        deadline: Deadline,
    ) -> None:
        request = requests.commit_offsets(self._producer, self._version, offsets, membership)
        await self._ask(GROUP, request, deadline)

    async def _end(self, committed: bool, deadline: Deadline) -> None:
        request = requests.end(self._producer, self._version, committed)
        response = await self._ask(TRANSACTION, request, deadline)
        if self._version == 2:
            self._producer.renewed(response.producer_id, response.producer_epoch)
        self._open = False

    async def _ask(self, key_type: int, request: Any, deadline: Deadline) -> Any:
        """The answer of a coordinator, asked again for as long as it says "not now"."""
        key = self._id if key_type == TRANSACTION else self._group
        while True:
            try:
                node = await self._coordinator(key_type, key, deadline)
                response = await self._connection.send(request, deadline, node)
                for error in requests.errors_of(response):
                    if error is not errors.NoError:
                        raise error()
                return response
            except errors.RetriableError as error:
                if not isinstance(error, errors.ConcurrentTransactionsError):
                    self._coordinators.pop(key_type, None)
                await self._connection.pause(deadline, error)

    async def _coordinator(self, key_type: int, key: str, deadline: Deadline) -> Any:
        if key_type not in self._coordinators:
            self._coordinators[key_type] = await self._connection.coordinator(
                key_type, key, deadline
            )
        return self._coordinators[key_type]
