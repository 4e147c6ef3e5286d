"""Who writes to a partition that waits for help is told at once; others are not concerned."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest
import sqlalchemy

from api.bus import Actor, PartitionWaits
from api.log_bus import LogBus, Unobserved
from api.waiting_partitions import WaitingPartitions
from chronova.domains import load_handlers, load_projections
from commands.compute.power import StopServer
from events import topics
from events.fleet.heartbeat import CONDUCTOR, Heartbeat
from events.log.contract import Outgoing, Record, partition_of
from events.log.memory import Cluster, MemoryLog
from events.log.records import Codec
from events.log.records import headers as envelope
from events.message import Context
from handlers.decider import Decider
from projections.fleet.heartbeats import SERVICE_HEARTBEATS, heartbeat_rows
from tests.parts.heartbeats import heartbeat_table
from tests.parts.postgres import PostgresServer

CODEC = Codec()
ACTOR = Actor("user", "project", "req-1")
COMMAND = StopServer(server_id="s")

load_handlers()
load_projections()


@pytest.fixture
def engine(database: PostgresServer) -> Iterator[sqlalchemy.Engine]:
    with heartbeat_table(database.url) as made:
        yield made


def say(engine: sqlalchemy.Engine, troubles: list[str], at_s: float) -> None:
    """Let a decider's heartbeat be followed."""
    beat = Heartbeat(host="h", binary=CONDUCTOR, at=1, started_at=1, troubles=troubles)
    value, at = CODEC.encode(beat), int(at_s * 1_000_000)
    record = Record(topics.HEARTBEATS, 0, 0, at, "h", value, {})
    with engine.begin() as connection:
        connection.execute(SERVICE_HEARTBEATS.delete())
        connection.execute(SERVICE_HEARTBEATS.insert(), heartbeat_rows([record]))


def ill() -> tuple[Decider, MemoryLog, int]:
    """A decider of two partitions, one of which holds an event that it cannot read."""
    log = MemoryLog(cluster=Cluster(lambda: time.time_ns() // 1000))
    log.create_topics(topics.all_topics(2))
    number = partition_of("key", 2)
    source, context = (topics.events("compute"), number), Context(id="x", time=1)
    made = envelope(context, "compute.ServerVanished", "/test", "server/s")
    log.append([Outgoing(source[0], "s", b"unreadable", made, number)])
    return Decider(log, ["compute"], threaded=False), log, number


def test_who_writes_to_an_ill_partition_is_told_at_once(engine: sqlalchemy.Engine) -> None:
    decider, log, number = ill()
    for _ in range(8):
        decider.step(0.0)
    (trouble,) = decider.troubles()
    say(engine, [trouble], time.time())
    waits = WaitingPartitions(engine)
    assert waits("compute", number) and not waits("compute", 1 - number)
    assert not waits("fleet", number)
    heard = Heard()
    made = LogBus(log, NoWaiter(), decision_timeout_s=20.0, waits=waits, observer=heard)
    with closing(made) as bus:
        began = time.monotonic()
        with pytest.raises(PartitionWaits, match="waits for its operator") as told:
            bus.send(COMMAND, "key", ACTOR)
        assert time.monotonic() - began < 5.0, "not after the longest wait"
    assert told.value.retry_after_s >= 1
    assert heard.outcomes == ["unsent"]
    assert not told.value.maybe_sent, "secrets that came with it can be forgotten"
    assert log.ends([(topics.commands("compute"), number)])[topics.commands("compute"), number] == 0


def test_what_is_mended_or_was_said_long_ago_holds_nobody_back(engine: sqlalchemy.Engine) -> None:
    sentence = "compute.events/1: an event cannot be read"
    now = [0.0]
    waits = WaitingPartitions(engine, lambda: now[0])
    say(engine, [sentence], time.time() - 40)
    assert not waits("compute", 1), "its decider may be gone"
    say(engine, [sentence], time.time())
    assert not waits("compute", 1), "the tables are asked once a second"
    now[0] += 2.0
    assert waits("compute", 1)
    say(engine, [], time.time())
    now[0] += 2.0
    assert not waits("compute", 1)


def test_receivers_that_are_missing_concern_no_partition(engine: sqlalchemy.Engine) -> None:
    say(engine, ["compute.dispatch.h/0 cannot take 3 records: there is no topic"], time.time())
    assert not WaitingPartitions(engine)("compute", 0)


def test_without_tables_nothing_is_known(engine: sqlalchemy.Engine) -> None:
    SERVICE_HEARTBEATS.drop(engine)
    assert not WaitingPartitions(engine)("compute", 0)


class Heard(Unobserved):
    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def decided(self, command: str, outcome: str, seconds: float) -> None:
        self.outcomes.append(outcome)


class NoWaiter:
    def wait(self, topic: str, partition: int, position: int, timeout_s: float) -> bool:
        return True

    def close(self) -> None:
        pass
