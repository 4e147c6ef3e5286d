"""The log of a simulation: the log in memory, watched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from events import topics
from events.log.contract import Outgoing, Record, RecordTooLarge, TopicPartition
from events.log.memory import Cluster, Crash, Fault, Operation
from events.log.memory_cluster import Partition
from events.log.memory_groups import Groups
from events.log.records import Codec
from events.log.terms import begins_term
from events.message import Message
from handlers.decider.marks import MARKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.world import World


class CachingCodec(Codec):
    """Decodes each value once: messages are immutable, and every process reads the same ones."""

    def __init__(self) -> None:
        super().__init__()
        self._decoded: dict[bytes, Message] = {}

    def decode(self, value: bytes) -> Message:
        message = self._decoded.get(value)
        if message is None:
            message = self._decoded[value] = super().decode(value)
        return message

    def forget(self) -> None:
        """Before another run."""
        self._decoded.clear()


class WatchedGroups(Groups):
    """Says when partitions may have moved."""

    world: World

    def join(self, group: str, topics: Sequence[str]) -> int:
        member = super().join(group, topics)
        self.world.kernel.say("")
        return member


class WatchedCluster(Cluster):
    """Gives way before each operation, tells the world of each write."""

    def __init__(self, world: World) -> None:
        super().__init__(
            lambda: world.kernel.now, faults=self._strikes, wait=self._waits, wake=self._wakes
        )
        self._world = world
        groups = WatchedGroups(lambda topic: self.topics[topic].partitions)
        groups.world = world
        self.groups = groups
        self.written: list[Record] = []
        """All records, in the order in which they were written."""
        self.fact_bytes_max = self.record_bytes_max
        """Of the value of a record in a journal."""

    def another(self) -> Cluster:
        """Return the log of another site, which nobody watches."""
        other = Cluster(
            self.now, identity="another", faults=self._strikes, wait=self._waits, wake=self._wakes
        )
        for topic in topics.all_topics():
            other.create(topic)
        return other

    def check(self, records: Iterable[Outgoing]) -> list[tuple[TopicPartition, Outgoing]]:
        placed = super().check(records)
        for (topic, _), record in placed:
            if topic.endswith(".events") and len(record.value) > self.fact_bytes_max:
                raise RecordTooLarge(f"the simulated log takes no {len(record.value)} bytes")
        return placed

    def write(self, placed: Iterable[tuple[TopicPartition, Outgoing]]) -> list[int]:
        placed = list(placed)
        offsets = super().write(placed)
        written: list[Record] = []
        for (source, _), offset in zip(placed, offsets, strict=True):
            partition = self.partitions[source]
            written.append(partition.records[offset - partition.first])
        self.written += written
        self._world.wrote(written)
        for topic in {source[0]: None for source, _ in placed}:
            self._world.kernel.say(topic)
        return offsets

    def restore(self, count: int) -> list[Record]:
        """Keep the first ``count`` records that were written, without half a batch of a journal,
        which no log keeps; return those that are lost."""
        while count and _within_batch(self.written[count - 1]):
            count -= 1
        lost = self.written[count:]
        del self.written[count:]
        for source in {record.source for record in lost} & set(self.partitions):
            old, new = self.partitions[source], Partition()
            cut = min(r.offset for r in lost if r.source == source)
            new.records = [record for record in old.records if record.offset < cut]
            new.first = min(old.first, cut)
            new.last_timestamp = new.records[-1].timestamp if new.records else 0
            terms = [record.offset for record in new.records if begins_term(record)]
            new.term = terms[-1] if terms else None
            self.partitions[source] = new
        return lost

    def remove(self, topic: str) -> None:
        """Delete a topic with all that it holds."""
        for number in range(self.topics.pop(topic).partitions):
            del self.partitions[topic, number]
        self.written = [record for record in self.written if record.topic != topic]

    def finish(self, fault: Fault | None, name: str, process: str) -> None:
        """An append has taken place: others may see it before its caller hears of it."""
        if name == "append":
            self._world.kernel.give_way()
            if process not in self._world.running:
                raise Crash(process)
        super().finish(fault, name, process)

    def _strikes(self, operation: Operation) -> Fault | None:
        world = self._world
        process = world.running.get(operation.process)
        if process is None:
            raise Crash(operation.process)
        world.kernel.give_way()
        if operation.process not in world.running:
            raise Crash(operation.process)
        return world.faults.on_log(process, operation)

    def _waits(self, name: str, seconds: float, sources: Iterable[TopicPartition]) -> None:
        process = self._world.running.get(name)
        if process is None:
            raise Crash(name)
        self._world.kernel.listen(seconds, {source[0] for source in sources} | {name})
        if name not in self._world.running:
            raise Crash(name)

    def _wakes(self, name: str) -> None:
        self._world.kernel.say(name)


def _within_batch(record: Record) -> bool:
    """Whether more of the same append follows: the marks are in its last record."""
    journal = record.topic.endswith(".events")
    return journal and MARKS not in record.headers and not begins_term(record)
