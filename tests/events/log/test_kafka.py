"""The Kafka log beyond the contract: transactions in doubt, time limits, takeovers, forks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from events.log.contract import Fenced, LogUnavailable, Outgoing, RecordTooLarge, TopicPartition
from events.log.kafka import KafkaLog
from events.log.kafka_connection import Connection, Deadline
from events.log.kafka_records import addressed
from events.log.kafka_requests import Membership
from events.log.kafka_transactions import Transactions
from tests.events.log.site import (
    LIMIT_S,
    Consumer,
    KafkaSite,
    after,
    outgoing,
    persistently,
    read,
    read_to_end,
    share,
)
from tests.parts.broker import Broker

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


class Site(KafkaSite):
    """A site on the session's broker, which may also be frozen."""

    def __init__(self, server: Broker) -> None:
        self.broker = server
        super().__init__(server)

    def values(self, topic: str) -> list[str]:
        """What is committed in a topic of one partition, once nothing is open any more."""
        self.log.settled_end((topic, 0), LIMIT_S)
        return [record.value.decode() for record in read_to_end(self.reader(topic))]


@pytest.fixture
def kafka(broker: Broker) -> Iterator[Site]:
    """A site on the session's broker."""
    site = Site(broker)
    try:
        yield site
    finally:
        site.close()


def impatient(kafka: Site) -> KafkaLog:
    """A view with short limits, for tests that wait until they are over."""
    log = KafkaLog(kafka.broker.bootstrap, timeout_s=1.5, transaction_timeout_s=2.0)
    kafka._logs.append(log)
    return log


class OlderCluster(Connection):
    """A cluster whose transactions are of version 1, as before Kafka 4."""

    async def features(self, deadline: Deadline, node: Any) -> Mapping[str, int]:
        return {}


@pytest.fixture(params=[Connection, OlderCluster])
def session(kafka: Site, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Transactions]]:
    """Sessions of transactions by their id, with each version of the protocol."""
    connection = request.param(kafka.broker.bootstrap, {}, "test")

    def begin(name: str) -> Transactions:
        transactions = Transactions(connection, kafka.name(name), kafka.name("group"), 2000)
        transactions.take(LIMIT_S)
        return transactions

    yield begin
    connection.close()


def chosen(kafka: Site, topic: str, *values: str) -> list[Outgoing]:
    return addressed(outgoing(topic, *values), {topic: kafka.log.partitions(topic)})


def test_transactions_of_both_versions_follow_each_other(
    kafka: Site, session: Callable[[str], Transactions]
) -> None:
    topic = kafka.topic("events", 3)
    transactions = session("writer")
    for turn in range(30):
        records = [Outgoing(topic, "", f"{turn}-{n}".encode(), partition=n) for n in range(3)]
        offsets = {(topic, 0): (turn, "note")}
        transactions.commit(records, offsets, Membership(kafka.name("group")), LIMIT_S)
    values = sorted(record.value for record in read(kafka.reader(topic), 90))
    assert values == sorted(f"{turn}-{n}".encode() for turn in range(30) for n in range(3))


def test_a_transaction_larger_than_a_request_is_whole(
    kafka: Site, session: Callable[[str], Transactions]
) -> None:
    topic = kafka.topic("events")
    values = [f"{n}" * 400_000 for n in range(8)]
    session("writer").commit(
        chosen(kafka, topic, *values), {}, Membership(kafka.name("group")), LIMIT_S
    )
    got = [record.value.decode() for record in read(kafka.reader(topic), 8)]
    assert got == values


def test_a_refused_generation_leaves_nothing_and_the_session_goes_on(
    kafka: Site, session: Callable[[str], Transactions]
) -> None:
    topic = kafka.topic("events")
    transactions = session("writer")
    stranger = Membership(kafka.name("group"), generation=7, member="nobody")
    with pytest.raises(Fenced):
        transactions.commit(
            chosen(kafka, topic, "of a zombie"), {(topic, 0): (1, "")}, stranger, LIMIT_S
        )
    assert not transactions.in_doubt
    transactions.commit(chosen(kafka, topic, "good"), {}, Membership(kafka.name("group")), LIMIT_S)
    assert kafka.values(topic) == ["good"]


def test_a_session_that_was_taken_stays_fenced(
    kafka: Site, session: Callable[[str], Transactions]
) -> None:
    topic = kafka.topic("events")
    old, new = session("writer"), session("writer")
    group = Membership(kafka.name("group"))
    with pytest.raises(Fenced):
        old.commit(chosen(kafka, topic, "of a zombie"), {}, group, LIMIT_S)
    with pytest.raises(Fenced):
        old.recover(LIMIT_S)
    new.commit(chosen(kafka, topic, "good"), {}, group, LIMIT_S)
    assert kafka.values(topic) == ["good"]


def leave_open(kafka: Site, transactions: Transactions, topic: str) -> None:
    """Write a record in a transaction that nobody ends, as when a process stops there."""
    transactions.in_doubt = transactions._open = True
    records = chosen(kafka, topic, "never committed")

    async def begin(deadline: Deadline) -> None:
        if transactions._version < 2:
            await transactions._add(records, False, deadline)
        await transactions._produce(records, deadline)

    transactions._connection.run("write", LIMIT_S, begin)


def open_transaction(kafka: Site, topic: str) -> Connection:
    """A transaction left open by a process that died."""
    connection = Connection(kafka.broker.bootstrap, {}, "dead")
    dead = Transactions(connection, kafka.name("dead"), kafka.name("group"), 2000)
    dead.take(LIMIT_S)
    leave_open(kafka, dead, topic)
    return connection


def test_settled_end_waits_for_the_transaction_of_a_dead_process(kafka: Site) -> None:
    topic = kafka.topic("events")
    source = (topic, 0)
    connection = open_transaction(kafka, topic)
    with pytest.raises(LogUnavailable, match="still open"):
        kafka.log.settled_end(source, 0.1)
    end = kafka.log.settled_end(source, 8.0)
    assert end > 0
    reader = kafka.reader(topic)
    assert read_to_end(reader) == []
    assert reader.positions()[source] == end
    connection.close()


def test_an_open_transaction_holds_back_readers_until_it_is_ended_by_a_successor(
    kafka: Site,
) -> None:
    topic = kafka.topic("events")
    connection = open_transaction(kafka, topic)
    kafka.log.append(outgoing(topic, "after it"))
    reader = kafka.reader(topic)
    assert reader.ends() == {(topic, 0): 0}
    Transactions(connection, kafka.name("dead"), kafka.name("group"), 2000).take(LIMIT_S)
    assert [record.value for record in read(reader, 1)] == [b"after it"]
    connection.close()


def test_a_broker_killed_in_the_middle_of_a_transaction(kafka: Site) -> None:
    commands, events = kafka.topic("commands"), kafka.topic("events")
    kafka.log.append(outgoing(commands, "0", "1"))
    consumer = Consumer(impatient(kafka).member(kafka.name("group"), [commands]))
    kafka.closing(consumer.worker)
    taken = consumer.take(2)
    consumer.worker.transact(outgoing(events, "warm"), {})
    kafka.broker.pause()
    began = time.monotonic()
    with pytest.raises(LogUnavailable):
        consumer.worker.transact(outgoing(events, "first try"), after(taken))
    assert time.monotonic() - began < 5.0
    with pytest.raises(LogUnavailable):
        consumer.worker.transact(outgoing(events, "before it is settled"), after(taken))
    kafka.kill()
    kafka.start()
    persistently(consumer.worker.rewind)
    polled = consumer.worker.poll(LIMIT_S)
    assert list(polled.revoked) == list(polled.assigned) == [(commands, 0)]
    consumer.worker.ready((commands, 0))
    if kafka.values(events) == [
        "warm"
    ]:  # the transaction never reached the broker, so its input comes again
        again = consumer.take(2)
        consumer.worker.transact(outgoing(events, "first try"), after(again))
    assert kafka.values(events) == ["warm", "first try"]


@pytest.mark.parametrize("cluster", [Connection, OlderCluster])
def test_a_fixed_worker_survives_its_own_timed_out_transaction(
    kafka: Site, cluster: type[Connection]
) -> None:
    commands, events = kafka.topic("dispatch"), kafka.topic("events")
    kafka.log.append(outgoing(commands, "0"))
    log = impatient(kafka)
    log._connection.close()
    log._connection = cluster(kafka.broker.bootstrap, {}, "test")
    worker = log.fixed(kafka.name("host"), [(commands, 0)])
    kafka.closing(worker)
    assert worker.poll(LIMIT_S).assigned
    worker.transact(outgoing(events, "before"), {})
    leave_open(kafka, worker._transactions, events)
    assert kafka.values(events) == ["before"]  # the broker has aborted it by then
    worker.rewind()
    assert worker.poll(LIMIT_S).assigned
    worker.transact(outgoing(events, "after"), {(commands, 0): 1})
    assert kafka.values(events) == ["before", "after"]


def test_a_fixed_worker_in_doubt_does_not_fence_its_successor(kafka: Site) -> None:
    commands, events = kafka.topic("dispatch"), kafka.topic("events")
    kafka.log.append(outgoing(commands, "0"))
    old = impatient(kafka).fixed(kafka.name("host"), [(commands, 0)])
    kafka.closing(old)
    assert old.poll(LIMIT_S).assigned
    leave_open(kafka, old._transactions, events)
    new = kafka.fixed("host", [(commands, 0)])
    with pytest.raises(Fenced):
        old.rewind()
    with pytest.raises(Fenced):
        old.poll(0.1)
    assert new.poll(LIMIT_S).assigned
    new.transact(outgoing(events, "of the successor"), {(commands, 0): 1})
    assert kafka.values(events) == ["of the successor"]


def test_a_planned_leave_is_noticed_within_a_second_or_so(kafka: Site) -> None:
    topic = kafka.topic("commands", 4)
    first = Consumer(kafka.member("group", [topic]))
    first.until_owns(4)
    second = Consumer(kafka.member("group", [topic], kafka.open()))
    share([first, second], [2, 2])
    began = time.monotonic()
    second.worker.close()
    first.until_owns(4)
    assert time.monotonic() - began < 3.0  # 0.02-0.5 s on an idle machine: the next heartbeat


def test_what_a_member_keeps_through_a_rebalance_keeps_its_state(kafka: Site) -> None:
    topic = kafka.topic("commands", 4)
    first = Consumer(kafka.member("group", [topic]))
    first.until_owns(4)
    second = Consumer(kafka.member("group", [topic], kafka.open()))
    revoked: list[TopicPartition] = []
    assigned: list[TopicPartition] = []

    while len(second.owned) < 2:
        polled = first.step(0.05)
        revoked += polled.revoked
        assigned += polled.assigned
        second.step(0.05)
    assert sorted(revoked) == sorted(second.owned)
    assert assigned == []


def test_every_call_ends_while_there_is_no_broker(kafka: Site) -> None:
    topic = kafka.topic("events")
    log = impatient(kafka)
    log.ping()
    reader = kafka.closing(log.reader({(topic, 0): 0}))
    kafka.stop()
    for call in (
        lambda: log.ping(0.5),
        lambda: log.append(outgoing(topic, "x"), 0.5),
        lambda: log.settled_end((topic, 0), 0.5),
        lambda: log.offset_at((topic, 0), 0),
        lambda: log.member("group", [topic]),
        lambda: log.fixed("name", [(topic, 0)]),
        lambda: log.partitions("another"),
        reader.ends,
    ):
        began = time.monotonic()
        with pytest.raises(LogUnavailable):
            call()
        assert time.monotonic() - began < 10.0
    assert list(reader.poll(0.5)) == []


def test_a_member_and_a_reader_wait_for_a_broker_without_spinning(kafka: Site) -> None:
    topic = kafka.topic("events")
    consumer = Consumer(kafka.member("group", [topic]))
    consumer.until_owns(1)
    reader = kafka.reader(topic)
    kafka.stop()
    used = time.process_time()
    assert not consumer.step(2.0).records
    assert not reader.poll(2.0)
    assert time.process_time() - used < 1.0  # of 4 s; 0.06 s measured


def test_a_forked_child_has_connections_of_its_own(kafka: Site) -> None:
    topic = kafka.topic("events")
    kafka.log.append(outgoing(topic, "parent"))
    child = os.fork()
    if child == 0:  # nothing of pytest may run in here
        try:
            kafka.log.append(outgoing(topic, "child"))
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    kafka.log.append(outgoing(topic, "parent again"))
    values = [record.value for record in read(kafka.reader(topic), 3)]
    assert values == [b"parent", b"child", b"parent again"]


def test_a_topic_that_takes_less_says_so(kafka: Site) -> None:
    """A foreign topic may have a lower limit than ours: the broker's refusal is ours as well."""
    from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

    topic, commands = kafka.topic("events"), kafka.topic("commands")
    admin = KafkaAdminClient(bootstrap_servers=kafka.broker.bootstrap)
    admin.alter_configs(
        [ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": "2000"})]
    )
    admin.close()
    with pytest.raises(RecordTooLarge):
        kafka.log.append(outgoing(topic, "x" * 5000))
    worker = kafka.fixed("worker", [(commands, 0)])
    assert worker.poll(LIMIT_S).assigned
    with pytest.raises(RecordTooLarge):
        worker.transact(outgoing(topic, "x" * 5000), {})
    worker.transact(outgoing(topic, "small"), {})
    kafka.log.append(outgoing(topic, "small too"))
    values = kafka.values(topic)
    assert values == ["small", "small too"]


def test_an_unknown_client_option_is_said_so() -> None:
    with pytest.raises(ValueError, match="sasl_mecanism"):
        KafkaLog("localhost:9092", client_options={"sasl_mecanism": "PLAIN"})
