"""The decider runner: reads commands, decides them, writes all that follows in one transaction.

One process, one worker in the group of deciders, any number of partitions. For each owned
partition the state is the fold of its own output; nobody else writes there. What hosts report
comes in partitions of its own, owned by whoever owns the commands' partition. A batch's events,
follow-up commands, dispatches, replies and input offsets become true together or not at all.

A follow-up command for a partition of this process is written like any other and decided at once,
in the same transaction: a boot crosses two domains and back without a round through the log. When
its record comes, it is known by its id and passed over.

Crash halfway: nothing of the batch is visible, the next owner decides it. A zombie's
transaction is refused (``Fenced``). When the log does not answer, the outcome of a transaction is
unknown: every state is dropped and folded anew from what the log holds.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import structlog

from events import topics
from events.log.contract import (
    Fenced,
    Log,
    LogError,
    LogUnavailable,
    Outgoing,
    Polled,
    Record,
    TopicMismatch,
    TopicPartition,
    goes_with,
    partition_of,
)
from events.log.records import Codec
from handlers.partition import Decided, Partition
from handlers.snapshot import Snapshots

GROUP = "deciders"
"""One group for all domains: two processes can never own the same partition."""

BATCH_MAX = 200
"""Commands in one transaction: bounds its size and how long the others wait for it."""

SNAPSHOT_EVERY = 20_000
"""Events of a partition between two snapshots: about a second of folding."""

QUIET_POLLS_MAX = 30
"""Polls of a second without a record before a fold gives up and begins again."""

FOLLOWED_MAX = 20
"""Follow-ups, for each command of a batch, that are decided with it; more wait for their record."""

IDLE_S = 1.0
RETRY_S = 0.5

logger = structlog.get_logger("decider")


class Watcher(Protocol):
    """Told what happens, for metrics."""

    def batch(self, decided: Sequence[Decided], seconds: float) -> None:
        """A transaction was committed."""

    def owns(self, partitions: int) -> None:
        """How many partitions this process owns now."""


class Unwatched:
    """Counts nothing."""

    def batch(self, decided: Sequence[Decided], seconds: float) -> None:
        """Nothing."""

    def owns(self, partitions: int) -> None:
        """Nothing."""


def wall_clock() -> int:
    """Now, in microseconds since 1970."""
    return time.time_ns() // 1000


class Decider:
    """Decides the commands of ``domains``. ``step`` is one turn of the loop; one thread's.

    ``followed_max``: so many follow-ups for each command of a batch are decided with it.
    """

    def __init__(
        self,
        log: Log,
        domains: Sequence[str],
        *,
        snapshots: Path | None = None,
        clock: Callable[[], int] = wall_clock,
        watcher: Watcher | None = None,
        codec: Codec | None = None,
        followed_max: int = FOLLOWED_MAX,
    ) -> None:
        self._log = log
        self._followed_max = followed_max
        self._codec = codec or Codec()
        self._clock = clock
        self._watcher = watcher or Unwatched()
        self._snapshots = Snapshots(snapshots, log.identity())
        self._commands = {topics.commands(d) for d in domains}
        self._worker = log.member(GROUP, [topic for d in domains for topic in topics.inputs(d)])
        self._held: set[TopicPartition] = set()
        """What the log says is ours, reports' partitions too."""
        self._owned: dict[TopicPartition, Partition] = {}
        """By the commands' partition, as all below but the offsets."""
        self._saved: dict[TopicPartition, int] = {}
        self._inputs: dict[TopicPartition, int] = {}
        self._passed: dict[TopicPartition, int] = {}
        """Offsets of records that needed nothing more; they move with the next transaction."""
        self._adrift = False

    # ------------------------------------------------------------ the loop

    def step(self, wait_s: float = IDLE_S) -> int:
        """Wait for something to do, at most ``wait_s``, and do it; how many commands it was.

        Raises ``LogUnavailable`` when the log is away: nothing is lost, call again.
        """
        try:
            self._recover()
            polled = self._worker.poll(self._patience(wait_s), BATCH_MAX)
            self._follow_ownership(polled)
            return self._handle(polled.records)
        except Fenced:
            logger.warning("fenced", partitions=len(self._owned))
            self._forget_all()
            self._adrift = True
            return 0
        except LogUnavailable:
            self._forget_all()
            self._adrift = True
            raise

    def states(self, domain: str, number: int, aggregate: str) -> dict[str, Any] | None:
        """From any thread: the states of one kind in a partition, a copy; None when it is not
        owned. The copy is taken in one step of the interpreter."""
        partition = self._owned.get((topics.commands(domain), number))
        return dict(partition.states[aggregate]) if partition is not None else None

    def wake(self) -> None:
        """From any thread: let a waiting ``step`` return now."""
        self._worker.wake()

    def close(self) -> None:
        """Save what is folded and hand the partitions over."""
        try:
            for source, partition in self._owned.items():
                if partition.position > self._saved[source]:
                    self._save(source, partition)
        except LogError as error:
            logger.warning("not_saved", reason=str(error))
        finally:
            self._forget_all()
            self._worker.close()

    def _recover(self) -> None:
        """What was forgotten is assigned anew only by a rewind that succeeded."""
        if self._adrift:
            self._worker.rewind()
            self._adrift = False

    def _patience(self, wait_s: float) -> float:
        deadlines = [d for p in self._owned.values() if (d := p.next_deadline()) is not None]
        if not deadlines:
            return wait_s
        return max(0.0, min(wait_s, (min(deadlines) - self._clock()) / 1e6))

    # ------------------------------------------------------------ deciding

    def _handle(self, records: Sequence[Record]) -> int:
        began = time.perf_counter()
        now = self._clock()
        outgoing: list[Outgoing] = []
        decided: list[Decided] = []
        mine = [record for record in records if goes_with(record.source) in self._owned]
        for done in self._decided(mine, now):
            decided.append(done)
            outgoing += self._deliverable(done.outgoing)
        for partition in self._owned.values():
            outgoing += partition.overdue(now)
        self._passed.update((record.source, record.offset + 1) for record in mine)
        if outgoing or (self._passed and not records):
            offsets, self._passed = self._passed, {}
            self._worker.transact(outgoing, offsets)
            self._inputs.update(offsets)
            self._watcher.batch(decided, time.perf_counter() - began)
            self._save_some(offsets)
        return len(decided)

    def _decided(self, records: Sequence[Record], now: int) -> Iterator[Decided]:
        """Decide these, then what follows from them here, and what follows from that."""
        waiting = deque(records)
        for number in range(len(records) * (1 + self._followed_max)):
            if not waiting:
                return
            record = waiting.popleft()
            early = number >= len(records)
            partition = self._owned[goes_with(record.source)]
            done = partition.decide(record, now, self._log.record_bytes_max, early=early)
            done.waited_s = max(0, now - record.timestamp) / 1e6
            self._note(done, record)
            waiting.extend(self._own(done.outgoing, now))
            yield done

    def _own(self, outgoing: Sequence[Outgoing], now: int) -> Iterator[Record]:
        """The commands in it as they will be read, those that will be read here."""
        for made in outgoing:
            if made.topic in self._commands:
                number = made.partition
                if number is None:
                    number = partition_of(made.key, self._log.partitions(made.topic))
                if (made.topic, number) in self._owned:
                    yield Record(made.topic, number, -1, now, made.key, made.value, made.headers)

    def _deliverable(self, records: Sequence[Outgoing]) -> Sequence[Outgoing]:
        """Without replies to partitions that do not exist: nobody reads there. And without work
        for hosts that have no topic: their agents have never begun to read, a deadline ends it."""
        return [record for record in records if self._exists(record)]

    def _exists(self, record: Outgoing) -> bool:
        if record.topic == topics.REPLIES:
            return (record.partition or 0) < self._log.partitions(topics.REPLIES)
        if record.topic.startswith(topics.DISPATCHES):
            try:
                self._log.partitions(record.topic)
            except TopicMismatch as error:
                logger.error("no_way_to_host", host=record.key, reason=str(error))
                return False
        return True

    def _note(self, done: Decided, record: Record) -> None:
        if done.outcome == "failed":
            command, _, text = done.type_name.partition("\n")
            request = record.headers.get("ce_requestid", "")
            logger.error("command_failed", command=command, request_id=request, traceback=text)
            done.type_name = command

    def _save_some(self, touched: dict[TopicPartition, int]) -> None:
        for source in {goes_with(source) for source in touched}:
            partition = self._owned[source]
            if partition.position - self._saved[source] >= SNAPSHOT_EVERY:
                self._saved[source] = partition.position
                self._save(source, partition)

    def _save(self, source: TopicPartition, partition: Partition) -> None:
        """All that this process wrote is committed, so the end of the events is exactly what is
        folded, if nobody else has written there meanwhile: who has lost the partition before
        that end was read is fenced here, before anything is kept."""
        if not self._snapshots.kept:
            return
        end = self._log.settled_end((topics.events(partition.domain), partition.number))
        # Nothing read there yet, only followed: then all that is owned has to be so still.
        read = {one: offset for one, offset in self._inputs.items() if goes_with(one) == source}
        self._worker.transact([], read)
        partition.offset = end
        self._snapshots.save(partition)

    # ----------------------------------------------------------- ownership

    def _follow_ownership(self, polled: Polled) -> None:
        for source in polled.revoked:
            self._held.discard(source)
            self._owned.pop(goes_with(source), None)
            self._passed.pop(source, None)
            self._inputs.pop(source, None)
        self._held.update(polled.assigned)
        led = [source for source in polled.assigned if source[0] in self._commands]
        for source, partition in self._folded(led).items():
            self._owned[source] = partition
            self._saved[source] = partition.position
        if any(goes_with(source) not in self._owned for source in self._held):
            raise Fenced("reports without their commands, or the reverse: all is taken anew")
        for source in polled.assigned:
            self._worker.ready(source)
        if polled.assigned or polled.revoked:
            self._watcher.owns(len(self._owned))
            logger.info("ownership", gained=len(polled.assigned), lost=len(polled.revoked))

    def _forget_all(self) -> None:
        self._held.clear()
        self._owned.clear()
        self._passed.clear()
        self._inputs.clear()
        self._watcher.owns(0)

    def _folded(self, sources: Sequence[TopicPartition]) -> dict[TopicPartition, Partition]:
        """The state of each newly owned partition, folded to its very end."""
        partitions = {}
        ends: dict[TopicPartition, int] = {}
        outputs: dict[TopicPartition, Partition] = {}
        for source in sources:
            domain = source[0].removesuffix(".commands")
            output = (topics.events(domain), source[1])
            end = self._log.settled_end(output)
            partition = self._snapshots.load(domain, source[1], self._codec)
            partitions[source] = partition
            if partition.offset < end:
                ends[output], outputs[output] = end, partition
        if outputs:
            self._read_to(ends, outputs)
        return partitions

    def _read_to(
        self, ends: dict[TopicPartition, int], outputs: dict[TopicPartition, Partition]
    ) -> None:
        reader = self._log.reader({output: p.offset for output, p in outputs.items()})
        try:
            quiet = 0
            while any(reader.positions()[output] < end for output, end in ends.items()):
                records = reader.poll(1.0, 5000)
                for record in records:
                    outputs[record.source].fold(record)
                quiet = 0 if records else quiet + 1
                if quiet > QUIET_POLLS_MAX:
                    raise LogUnavailable("the events cannot be read to their end")
        finally:
            reader.close()


def run(decider: Decider, stopped: Callable[[], bool], pause: Callable[[float], object]) -> None:
    """Step until ``stopped()``; a log that is away is tried again after ``pause``."""
    while not stopped():
        try:
            decider.step()
        except LogError as error:
            logger.warning("log_away", reason=str(error))
            pause(RETRY_S)
