"""A log under test, as a site has it: several processes' views, and a switch for its power."""

from __future__ import annotations

import gc
import json
import time
import uuid
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import psycopg2

from events.log import open_log
from events.log.contract import (
    Log,
    LogUnavailable,
    Member,
    Outgoing,
    Reader,
    Record,
    Topic,
    TopicPartition,
)
from events.log.memory import Cluster, MemoryLog
from tests.parts.postgres import PostgresServer

if TYPE_CHECKING:
    from tests.parts.broker import Broker

End = TypeVar("End", Reader, Member)

LIMIT_S = 30.0
"""No wait in these tests is longer."""


class Site(ABC):
    """``log`` is one process's view of the log, ``open`` gives another's."""

    url = ""
    options: dict[str, object] = {}

    def __init__(self) -> None:
        self.suffix = uuid.uuid4().hex[:8]
        self._logs: list[Log] = []
        self._others: list[Reader | Member] = []
        self.log = self.open()

    @abstractmethod
    def _make(self) -> Log: ...

    def open(self) -> Log:
        """As another process has it."""
        self._logs.append(self._make())
        return self._logs[-1]

    def name(self, stem: str) -> str:
        """A name that no other test has."""
        return f"{stem}-{self.suffix}"

    def topic(self, stem: str, partitions: int = 1) -> str:
        """A new topic's name."""
        name = self.name(stem)
        self.log.create_topics([Topic(name, partitions)])
        return name

    def reader(self, topic: str, offset: int = 0, log: Log | None = None) -> Reader:
        """Of all partitions of a topic."""
        log = log or self.log
        return self.closing(log.reader(dict.fromkeys(sources(log, topic), offset)))

    def closing(self, one: End) -> End:
        """Close it at the end of the test."""
        self._others.append(one)
        return one

    def close(self) -> None:
        """Release everything that was made through this."""
        for one in self._others:
            one.close()
        for log in self._logs:
            log.close()

    def arguments(self) -> list[str]:
        """For a process of its own: the log's URL and its options."""
        return [self.url, json.dumps(self.options)]


class MemorySite(Site):
    """Processes that share a cluster in memory, with a clock that ticks at each look."""

    def __init__(self) -> None:
        self.time = 1_700_000_000_000_000
        self.cluster = Cluster(self._tick)
        super().__init__()

    def _tick(self) -> int:
        self.time += 1000
        return self.time

    def _make(self) -> MemoryLog:
        return MemoryLog(cluster=self.cluster)


class ServedSite(Site):
    """One with a server of its own, which may be stopped."""

    server: PostgresServer | Broker

    def __init__(self) -> None:
        self._is_down = False
        super().__init__()

    def _make(self) -> Log:
        return open_log(self.url, **self.options)

    def stop(self) -> None:
        """The server ends cleanly."""
        self.server.stop()
        self._is_down = True

    def kill(self) -> None:
        """The server ends as by a power cut."""
        self.server.kill()
        self._is_down = True

    def start(self) -> None:
        """The server is there again."""
        self.server.start()
        self._is_down = False

    def close(self) -> None:
        if self._is_down:
            self.start()
        super().close()


class PostgresSite(ServedSite):
    """A schema of its own on the session's Postgres."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.url = server.url
        self.schema = f"log_{uuid.uuid4().hex[:8]}"
        self.options = {"schema": self.schema, "session_s": 3.0}
        super().__init__()

    def close(self) -> None:
        super().close()
        connection = psycopg2.connect(self.url)
        with connection, connection.cursor() as cursor:
            cursor.execute(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE")
        connection.close()


class KafkaSite(ServedSite):
    """Topics and groups of its own on the session's broker."""

    server: Broker

    def __init__(self, server: Broker) -> None:
        self.server = server
        self.url = f"kafka://{server.bootstrap}"
        super().__init__()

    def close(self) -> None:
        super().close()
        # kafka-python 3.0.12 leaves a socket open for each connection that was refused
        # (kafka/net/inet.py): let them be collected here, not in another test.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def sources(log: Log, topic: str) -> list[TopicPartition]:
    """All partitions of a topic."""
    return [(topic, number) for number in range(log.partitions(topic))]


def until(condition: Callable[[], bool], what: str) -> None:
    """Do something that waits a little, until it says that it is done."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {LIMIT_S:g} s: {what}"


def read(reader: Reader, count: int) -> list[Record]:
    """Exactly so many records."""
    records: list[Record] = []

    def enough() -> bool:
        records.extend(reader.poll(0.5))
        return len(records) >= count

    until(enough, f"{count} records")
    assert len(records) == count
    return records


def read_to_end(reader: Reader) -> list[Record]:
    """All committed records there are now."""
    ends = reader.ends()
    records: list[Record] = []

    def level() -> bool:
        if all(reader.positions()[source] >= end for source, end in ends.items()):
            return True
        records.extend(reader.poll(0.5))
        return False

    until(level, f"positions {reader.positions()} at {ends}")
    return records


def persistently(action: Callable[[], object]) -> None:
    """Do it until the log is there."""

    def done() -> bool:
        try:
            action()
        except LogUnavailable:
            return False
        return True

    until(done, "the log is back")


def outgoing(topic: str, *values: str, key: str = "key") -> list[Outgoing]:
    """Records of one key."""
    return [Outgoing(topic, key, value.encode()) for value in values]
