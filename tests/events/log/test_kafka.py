"""The Kafka log beyond the contract: time limits, forks, a foreign topic's limits."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kafka.errors import NotLeaderForPartitionError
from kafka.future import Future
from kafka.protocol.consumer import FetchRequest
from kafka.protocol.producer import ProduceRequest

from events.log.contract import LogUnavailable, Outgoing, RecordTooLarge, TopicPartition
from events.log.kafka import KafkaLog
from events.log.kafka_private import Client
from events.log.kafka_reader import KafkaReader
from tests.events.log.site import (
    LIMIT_S,
    KafkaSite,
    outgoing,
    read,
    read_to_end,
)
from tests.parts.broker import Broker

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
def kafka(broker: Broker) -> Iterator[KafkaSite]:
    """A site on the session's broker."""
    site = KafkaSite(broker)
    try:
        yield site
    finally:
        site.close()


def impatient(kafka: KafkaSite) -> KafkaLog:
    """A view with short limits, for tests that wait until they are over."""
    log = KafkaLog(kafka.server.bootstrap, timeout_s=1.5)
    kafka._logs.append(log)
    return log


def test_every_call_ends_while_there_is_no_broker(kafka: KafkaSite) -> None:
    topic = kafka.topic("events")
    log = impatient(kafka)
    log.ping()
    reader = kafka.closing(log.reader({(topic, 0): 0}))
    kafka.stop()
    for call in (
        lambda: log.ping(0.5),
        lambda: log.append(outgoing(topic, "x"), 0.5),
        lambda: log.offset_at((topic, 0), 0),
        lambda: log.partitions("another"),
        reader.ends,
    ):
        began = time.monotonic()
        with pytest.raises(LogUnavailable):
            call()
        assert time.monotonic() - began < 10.0
    assert list(reader.poll(0.5)) == []


def test_a_reader_waits_for_a_broker_without_spinning(kafka: KafkaSite) -> None:
    reader = kafka.reader(kafka.topic("events"))
    kafka.stop()
    used = time.process_time()
    assert not reader.poll(2.0)
    assert time.process_time() - used < 0.5


def test_an_idle_reader_of_one_partition_asks_once_in_five_seconds(kafka: KafkaSite) -> None:
    """As a host does, of which there may be ten thousand."""
    topic = kafka.topic("work")
    reader = kafka.reader(topic)
    assert isinstance(reader, KafkaReader)
    asked: list[Any] = []
    manager = reader._consumer._stepped._manager
    send = manager.send

    def watched(request: Any, *args: Any, **options: Any) -> Any:
        asked.append(request)
        return send(request, *args, **options)

    manager.send = watched
    assert not reader.poll(6.0)
    fetches = [request for request in asked if isinstance(request, FetchRequest)]
    assert 1 <= len(fetches) <= 2  # 24 with a wait of 250 ms
    began = time.monotonic()
    kafka.log.append(outgoing(topic, "a"))
    assert [record.value for record in reader.poll(LIMIT_S)] == [b"a"]
    assert time.monotonic() - began < 2.0
    reader.seek((topic, 0), 0)
    assert [record.value for record in reader.poll(LIMIT_S)] == [b"a"]
    asked.clear()
    assert not reader.poll(1.0)
    assert len(asked) > 2, "it seeks, so it waits no longer than others"


def test_a_forked_child_has_connections_of_its_own(kafka: KafkaSite) -> None:
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


def test_a_topic_that_takes_less_says_so(kafka: KafkaSite) -> None:
    """A foreign topic may have a lower limit than ours: the broker's refusal is ours as well."""
    from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

    topic = kafka.topic("events")
    admin = KafkaAdminClient(bootstrap_servers=kafka.server.bootstrap)
    admin.alter_configs(
        [ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": "2000"})]
    )
    admin.close()
    with pytest.raises(RecordTooLarge):
        kafka.log.append(outgoing(topic, "x" * 5000))
    kafka.log.append(outgoing(topic, "small"))
    assert [record.value for record in read_to_end(kafka.reader(topic))] == [b"small"]


@pytest.mark.parametrize("known", [True, False])
def test_a_partition_that_nobody_leads_holds_up_no_other(
    kafka: KafkaSite, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """One flight went to all brokers, and ended with the time of its slowest partition. ``known``:
    whether it is known that nobody leads it, or its leader of before refuses what is sent."""
    topic = kafka.topic("work", partitions=2)
    log = kafka.log
    records = [Outgoing(topic, "k", b"x", partition=n) for n in range(2)]
    log.append(records)
    tried = threading.Event()
    leader_of, post = Client.leader_of, Client.post

    def nobody(self: Client, source: TopicPartition) -> Any:
        if source != (topic, 1):
            return leader_of(self, source)
        tried.set()
        return -1

    def refused(self: Client, request: Any, node: Any, timeout_s: float) -> Any:
        if not isinstance(request, ProduceRequest) or (topic, 1) not in _partitions(request):
            return post(self, request, node, timeout_s)
        tried.set()
        return Future().failure(NotLeaderForPartitionError())

    with monkeypatch.context() as patch:
        patch.setattr(Client, *(("leader_of", nobody) if known else ("post", refused)))
        with ThreadPoolExecutor(1) as other:
            held = other.submit(log.append, records[1:], LIMIT_S)
            assert tried.wait(LIMIT_S)
            for _ in range(3):
                log.append(records[:1], LIMIT_S)
            assert not held.done(), "it waited for the partition that nobody leads"
            patch.undo()
            assert held.result(LIMIT_S) == [1], "written once there is a leader"
    found = read(kafka.reader(topic), 6)
    assert sorted(record.partition for record in found) == [0, 0, 0, 0, 1, 1]


def _partitions(request: Any) -> set[TopicPartition]:
    return {(topic.name, p.index) for topic in request.topic_data for p in topic.partition_data}


def test_an_unknown_client_option_is_said_so() -> None:
    with pytest.raises(ValueError, match="sasl_mecanism"):
        KafkaLog("localhost:9092", client_options={"sasl_mecanism": "PLAIN"})
