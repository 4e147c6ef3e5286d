"""The log of a simulation: the log in memory, watched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from events.log.contract import Outgoing, Record, TopicPartition
from events.log.memory import Cluster, Crash, Fault, Operation
from events.log.memory_groups import Groups
from events.log.records import Codec
from events.message import Message

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

    def take(self, group: str, sources: Sequence[TopicPartition]) -> int:
        owner = super().take(group, sources)
        self.world.kernel.say("")
        return owner


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

    def write(self, placed: Iterable[tuple[TopicPartition, Outgoing]]) -> list[int]:
        placed = list(placed)
        offsets = super().write(placed)
        written: list[Record] = []
        for (source, _), offset in zip(placed, offsets, strict=True):
            partition = self.partitions[source]
            written.append(partition.records[offset - partition.first])
        self._world.wrote(written)
        for topic in {source[0]: None for source, _ in placed}:
            self._world.kernel.say(topic)
        return offsets

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
