"""Reads chosen partitions of a Kafka log, without a group and without state kept there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from events.log.contract import LATEST, Record, TopicPartition
from events.log.kafka_consumer import Consumer

Ends = Callable[[Sequence[TopicPartition]], Mapping[TopicPartition, int]]


class KafkaReader:
    """A ``contract.Reader``. ``ends`` asks the broker over another connection than the reads'."""

    def __init__(self, consumer: Consumer, start: Mapping[TopicPartition, int], ends: Ends) -> None:
        self._consumer = consumer
        self._sources = list(start)
        self._ends = ends
        consumer.take(self._sources)
        latest = [source for source, offset in start.items() if offset == LATEST]
        offsets = {**start, **(ends(latest) if latest else {})}
        for source, offset in offsets.items():
            consumer.go_to(source, offset)

    def poll(self, timeout_s: float, records_max: int = 1000) -> Sequence[Record]:
        """Records there are, or come within ``timeout_s``."""
        return self._consumer.fetch(timeout_s, records_max)

    def seek(self, source: TopicPartition, offset: int) -> None:
        """Go on at ``offset``. Who seeks once does so again, and a parked request delays it."""
        self._consumer.hurry()
        self._consumer.go_to(source, self._ends([source])[source] if offset == LATEST else offset)

    def ends(self) -> Mapping[TopicPartition, int]:
        """The offset after the last record of each partition."""
        return self._ends(self._sources)

    def positions(self) -> Mapping[TopicPartition, int]:
        """The next offset of each partition."""
        return {source: self._consumer.position_of(source) or 0 for source in self._sources}

    def wake(self) -> None:
        """Make a waiting ``poll`` return now."""
        self._consumer.wake()

    def close(self) -> None:
        """Release the connections."""
        self._consumer.leave(timeout_s=1.0)
