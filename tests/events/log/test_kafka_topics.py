"""Topics of a Kafka log that are missing, come later, or are deleted and made again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition

from events.log.contract import Log, LogError, LogUnavailable, Outgoing, Topic, TopicMismatch
from events.log.kafka_connection import Connection
from events.log.kafka_inspection import inspect
from tests.events.log.site import KafkaSite, outgoing, persistently, read_to_end, until
from tests.parts.broker import Broker

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
def kafka(broker: Broker) -> Iterator[KafkaSite]:
    """A site on the session's broker."""
    with closing(KafkaSite(broker)) as site:
        yield site


def remake(kafka: KafkaSite, name: str, partitions: int) -> None:
    """Delete a topic and make it again, as another process does."""
    delete(kafka, name)

    def made() -> bool:
        try:
            kafka.open().create_topics([Topic(name, partitions)])
        except LogError:  # its deletion is still under way
            return False
        return True

    until(made, f"{name} is made again")


def delete(kafka: KafkaSite, name: str) -> None:
    with closing(KafkaAdminClient(bootstrap_servers=kafka.server.bootstrap)) as admin:
        admin.delete_topics([name])


def test_a_topic_that_comes_later_is_noticed(kafka: KafkaSite) -> None:
    name, log = kafka.name("late"), kafka.open()
    term = Outgoing(name, "term", b"mine", {"ce_type": "test.TermBegan"}, 2)
    for call in (
        lambda: log.append(outgoing(name, "x")),
        lambda: log.begin_term((name, 2), term),
        lambda: log.membership("group", [name]),
        lambda: log.partitions(name),
    ):
        with pytest.raises(TopicMismatch):
            call()
    kafka.log.create_topics([Topic(name, 3)])
    persistently(lambda: log.append(outgoing(name, "x")))
    journal = log.begin_term((name, 2), term)
    assert isinstance(log.commit([(journal, outgoing(name, "a"))])[0], int)
    assert log.partitions(name) == 3


def test_many_topics_are_asked_for_at_once(
    kafka: KafkaSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site with a thousand hosts begins with a thousand topics."""
    wanted = [Topic(kafka.name(f"host-{number}"), 1) for number in range(40)]
    sent: list[str] = []
    post = Connection.post

    def counted(self: Connection, request: Any, *rest: Any) -> Any:
        sent.append(type(request).__name__)
        return post(self, request, *rest)

    monkeypatch.setattr(Connection, "post", counted)
    assert list(kafka.log.create_topics(wanted)) == [topic.name for topic in wanted]
    waits = sent.count("MetadataRequest") - 2
    assert sent.count("CreateTopicsRequest") == 1
    assert waits < 38, "one look for all, and some more until they are led"
    sent.clear()
    assert kafka.log.create_topics(wanted) == []
    assert sent == ["MetadataRequest"]


def test_a_missing_topic_is_not_the_others_affair(kafka: KafkaSite) -> None:
    """What is appended at the same time goes out in one request."""
    there, gone = kafka.topic("there"), kafka.topic("gone")
    journals = [
        kafka.log.begin_term((topic, 0), Outgoing(topic, "term", b"", partition=0))
        for topic in (there, gone)
    ]
    delete(kafka, gone)
    began = time.monotonic()
    outcomes = kafka.log.commit(
        [(journal, outgoing(journal.source[0], "x")) for journal in journals]
    )
    assert isinstance(outcomes[0], int)
    assert isinstance(outcomes[1], TopicMismatch)
    assert time.monotonic() - began < 5.0


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1)])
def test_a_topic_made_again_is_written_again(kafka: KafkaSite, before: int, after: int) -> None:
    name = kafka.topic("events", before)
    log = kafka.open()
    term = Outgoing(name, "term", b"mine", {"ce_type": "test.TermBegan"}, 0)
    journal = log.begin_term((name, 0), term)
    log.commit([(journal, outgoing(name, *"abcdef"))])
    for number in range(before):
        log.append([Outgoing(name, "", b"before", partition=number)])
    remake(kafka, name, after)
    until(lambda: written(log, name, after - 1), "its last partition is written")
    # It lies elsewhere than where the journal ended.
    (outcome,) = log.commit([(journal, outgoing(name, "void"))])
    assert isinstance(outcome, LogUnavailable | TopicMismatch), outcome
    again = log.begin_term((name, 0), term)
    assert isinstance(log.commit([(again, outgoing(name, "a"))])[0], int)
    texts = read_all(kafka, name)
    assert texts.count(b"after") == 1
    assert b"before" not in texts


def written(log: Log, name: str, partition: int) -> bool:
    try:
        log.append([Outgoing(name, "", b"after", partition=partition)], 2.0)
    except LogError:
        return False
    return True


def read_all(kafka: KafkaSite, name: str) -> list[bytes]:
    return [record.value for record in read_to_end(kafka.reader(name, log=kafka.open()))]


def test_retention_follows_what_a_topic_should_have(kafka: KafkaSite) -> None:
    name, kept = kafka.name("refusals"), kafka.name("kept")
    kafka.log.create_topics([Topic(name, 1, 60_000), Topic(kept, 1)])
    kafka.log.create_topics([Topic(name, 1, 120_000), Topic(kept, 1)])

    def retention(topic: str) -> str:
        found = inspect(kafka.server.bootstrap, {}, [topic])
        return found.topics[topic].settings["retention.ms"]

    until(lambda: retention(name) == "120000", "the topic is kept for longer")
    assert retention(kept) == "-1"


def test_a_reader_of_what_was_cut_begins_with_what_is_left(kafka: KafkaSite) -> None:
    """As a later owner reads refusals, whose offsets it knows from marks."""
    name = kafka.name("cut")
    kafka.log.create_topics([Topic(name, 1, 3_600_000)])
    kafka.log.append(outgoing(name, *map(str, range(10))))
    with closing(KafkaAdminClient(bootstrap_servers=kafka.server.bootstrap)) as admin:
        admin.delete_records({TopicPartition(name, 0): 6})
    until(lambda: kafka.log.offset_at((name, 0), 0) == 6, "the first six are gone")
    assert [r.offset for r in read_to_end(kafka.reader(name))] == [6, 7, 8, 9]
