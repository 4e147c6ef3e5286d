"""Journals of the Kafka log beyond the contract: what brokers forget, lost answers, time limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import kafka.errors as errors
import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.protocol.producer import ProduceRequest
from kafka.structs import TopicPartition as Source

from chronova.embedded import broker as embedded
from events.log import kafka_produce
from events.log.contract import (
    Commit,
    Fenced,
    Journal,
    Log,
    LogUnavailable,
    Outgoing,
    RecordTooLarge,
    TopicPartition,
    Unstorable,
)
from events.log.kafka import KafkaLog
from events.log.kafka_connection import Connection, Deadline
from events.log.kafka_journal import KafkaJournal
from events.log.kafka_search import Written, search
from tests.events.log.site import KafkaSite, outgoing, read, read_to_end, until
from tests.parts.broker import Broker, EmbeddedBroker

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

NOBODY = Written(-2, -2, -2)


@pytest.fixture
def kafka(broker: Broker) -> Iterator[KafkaSite]:
    """A site on the session's broker."""
    with closing(KafkaSite(broker)) as site:
        yield site


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that forgets an idle producer's epoch within a second (others: after a day)."""
    data_dir: Path = tmp_path_factory.mktemp("broker")
    settings = {
        "producer.id.expiration.ms": "300",
        "producer.id.expiration.check.interval.ms": "100",
    }
    embedded.start(data_dir, settings=settings)
    try:
        yield EmbeddedBroker(data_dir)
    finally:
        embedded.stop(data_dir)


def begin(
    log: Log, source: TopicPartition, owner: str = "me", timeout_s: float = 10.0
) -> KafkaJournal:
    record = Outgoing(source[0], "term", owner.encode(), {"ce_type": "test.TermBegan"}, source[1])
    journal = log.begin_term(source, record, timeout_s)
    assert isinstance(journal, KafkaJournal)
    return journal


def commit(log: Log, journal: Journal, *texts: str, timeout_s: float = 10.0) -> Commit:
    (outcome,) = log.commit([(journal, outgoing(journal.source[0], *texts))], timeout_s)
    return outcome


def values(site: KafkaSite, topic: str) -> list[str]:
    return [record.value.decode() for record in read_to_end(site.reader(topic))]


def test_a_broker_that_forgot_the_epoch_does_not_unfence(forgetful: Broker) -> None:
    """The old owner's batch is taken, and counts for nobody. The broker then thinks that the new
    owner's numbers are out of turn, which costs it another term and nothing else."""
    with closing(KafkaSite(forgetful)) as site:
        source = (site.topic("events"), 0)
        other = site.open()
        old = begin(site.log, source, "old")
        assert isinstance(commit(site.log, old, "a"), int)
        new = begin(other, source, "new")
        forget(forgetful, source)
        assert isinstance(commit(site.log, old, "void"), Fenced)
        assert isinstance(commit(other, new, "never"), LogUnavailable)
        again = begin(other, source, "again")
        assert isinstance(commit(other, again, "b"), int)
        assert values(site, source[0]) == ["old", "a", "new", "void", "again", "b"]


def test_an_owner_that_was_idle_for_long_goes_on(forgetful: Broker) -> None:
    with closing(KafkaSite(forgetful)) as site:
        source = (site.topic("events"), 0)
        journal = begin(site.log, source)
        for text in ("a", "b"):
            assert isinstance(commit(site.log, journal, text), int)
            forget(forgetful, source)
        assert isinstance(commit(site.log, journal, "c"), int)
        assert values(site, source[0]) == ["me", "a", "b", "c"]


def test_a_term_under_another_producer_fences_too(kafka: KafkaSite) -> None:
    """As after a week without a writer, when the broker gives the journal another id."""
    source = (kafka.topic("events"), 0)
    old = begin(kafka.log, source, "old")
    term = Outgoing(source[0], "term", b"new", {"ce_type": "test.TermBegan"}, 0)
    kafka.log.append([*outgoing(source[0], "stray"), term])
    assert isinstance(commit(kafka.log, old, "void"), Fenced)
    assert isinstance(commit(kafka.log, old, "void"), Fenced)
    assert values(kafka, source[0]) == ["old", "stray", "new", "void"]


def forget(broker: Broker, source: TopicPartition) -> None:
    """Wait until the broker knows no producer of this partition any more."""

    with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap)) as admin:

        def forgotten() -> bool:
            found: Any = admin.describe_producers([Source(*source)])[Source(*source)]
            return not getattr(found, "active_producers", found)

        until(forgotten, "the broker has forgotten all producers")


def test_a_beginning_is_found_behind_much_else(kafka: KafkaSite) -> None:
    source = (kafka.topic("events"), 0)
    kafka.log.append(outgoing(source[0], *("x" * 500_000 for _ in range(7))))
    with closing(Connection(kafka.server.bootstrap, {}, "test")) as connection:

        def found(start: int, end: int | None) -> Commit | None:
            return connection.run("search", 10.0, search, connection, source, start, end, NOBODY)

        assert found(0, None) is None
        term = begin(kafka.log, source).term
        kafka.log.append(outgoing(source[0], *("y" * 500_000 for _ in range(7))))
        assert isinstance(found(0, None), Fenced)
        assert isinstance(found(0, term + 1), Fenced)
        assert found(0, term) is None
        assert found(term + 1, None) is None
        assert found(term + 1, term + 1) is None


class AnswerLost(Connection):
    """A connection that loses the answer to the next produce request after ``lose``; ``then``
    happens before it is sent again."""

    then: Callable[[], object] | None = None

    async def _lost(self, answer: Any) -> Any:
        await answer
        then, self.then = self.then, None
        assert then is not None
        then()
        raise errors.KafkaConnectionError("the answer was lost")

    def post(self, request: Any, deadline: Deadline, node: Any = None) -> Any:
        answer = super().post(request, deadline, node)
        if self.then is not None and isinstance(request, ProduceRequest):
            return self._lost(answer)
        return answer


def losing(kafka: KafkaSite) -> tuple[KafkaLog, AnswerLost]:
    log = kafka.open()
    assert isinstance(log, KafkaLog)
    log._connection.close()
    log._connection = connection = AnswerLost(kafka.server.bootstrap, {}, "test")
    return log, connection


def test_what_was_written_before_a_later_term_counts_though_its_answer_was_lost(
    kafka: KafkaSite,
) -> None:
    source = (kafka.topic("events"), 0)
    log, connection = losing(kafka)
    journal = begin(log, source, "old")
    connection.then = lambda: begin(kafka.log, source, "new")
    first = commit(log, journal, "a", "b")
    assert first == journal.term + 1
    assert isinstance(commit(log, journal, "c"), Fenced)
    assert values(kafka, source[0]) == ["old", "a", "b", "new"]


def test_a_batch_whose_answer_was_lost_is_written_once(kafka: KafkaSite) -> None:
    source = (kafka.topic("events"), 0)
    log, connection = losing(kafka)
    journal = begin(log, source)
    connection.then = lambda: kafka.log.append(outgoing(source[0], "stray"))
    assert commit(log, journal, "a") == journal.term + 1
    assert isinstance(commit(log, journal, "b"), int)
    assert values(kafka, source[0]) == ["me", "a", "stray", "b"]


def test_a_batch_out_of_turn_ends_the_journal(kafka: KafkaSite) -> None:
    """A broker that knows other numbers than its writer has lost something, or was given it."""
    source = (kafka.topic("events"), 0)
    journal = begin(kafka.log, source)
    assert isinstance(commit(kafka.log, journal, "a"), int)
    journal.producer.advance(source, 5)
    assert isinstance(commit(kafka.log, journal, "never"), LogUnavailable)
    assert isinstance(commit(kafka.log, journal, "never"), Fenced)
    assert values(kafka, source[0]) == ["me", "a"]
    assert isinstance(commit(kafka.log, begin(kafka.log, source), "b"), int)


def test_a_partition_that_lost_records_ends_the_journal(kafka: KafkaSite) -> None:
    source = (kafka.topic("events"), 0)
    journal = begin(kafka.log, source)
    journal.next += 10  # as if ten more had been acknowledged
    outcome = commit(kafka.log, journal, "a")
    assert isinstance(outcome, LogUnavailable)
    assert "lost records" in str(outcome)
    assert isinstance(commit(kafka.log, journal, "b"), Fenced)


def test_a_topic_that_takes_less_lets_the_journal_go_on(kafka: KafkaSite) -> None:
    source = (kafka.topic("events"), 0)
    journal = begin(kafka.log, source)
    with closing(KafkaAdminClient(bootstrap_servers=kafka.server.bootstrap)) as admin:
        limit = {"max.message.bytes": "2000"}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, source[0], limit)])
    assert isinstance(commit(kafka.log, journal, "x" * 5000), RecordTooLarge)
    assert isinstance(commit(kafka.log, journal, "small"), int)
    assert values(kafka, source[0]) == ["me", "small"]


@pytest.mark.parametrize("bad", [{"key": "\ud800"}, {"headers": {"ce_id": "\udfff"}}])
def test_a_text_that_is_none_lets_the_journal_go_on(kafka: KafkaSite, bad: dict[str, Any]) -> None:
    source = (kafka.topic("events"), 0)
    journal = begin(kafka.log, source)
    record = Outgoing(**{"topic": source[0], "key": "key", "value": b"never", **bad})
    (outcome,) = kafka.log.commit([(journal, [*outgoing(source[0], "never"), record])])
    assert isinstance(outcome, Unstorable)
    with pytest.raises(Unstorable):
        kafka.log.append([record])
    assert isinstance(commit(kafka.log, journal, "good"), int)
    assert values(kafka, source[0]) == ["me", "good"]


def test_many_records_are_one_batch_or_none(kafka: KafkaSite) -> None:
    source = (kafka.topic("events"), 0)
    journal = begin(kafka.log, source)
    assert isinstance(commit(kafka.log, journal, *["x" * 10_000] * 120), RecordTooLarge)
    first = commit(kafka.log, journal, *["x" * 10_000] * 100)
    assert isinstance(first, int)
    with closing(Connection(kafka.server.bootstrap, {}, "test")) as connection:
        producer = journal.producer
        name = Written(producer.id, producer.epoch, 1)
        found = connection.run("search", 10.0, search, connection, source, 1, None, name)
    assert found == first
    assert len(read(kafka.reader(source[0]), 101)) == 101


def test_more_than_a_request_takes_goes_in_several(
    kafka: KafkaSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_produce, "REQUEST_BYTES_MAX", 15_000)
    topic = kafka.topic("events", 5)
    journals = [begin(kafka.log, (topic, number)) for number in range(5)]
    appends = [(each, outgoing(topic, "x" * 6000)) for each in journals]
    assert all(isinstance(outcome, int) for outcome in kafka.log.commit(appends))
    assert len(read(kafka.reader(topic), 10)) == 10


def test_numbers_begin_again_after_the_last(kafka: KafkaSite) -> None:
    """A broker takes any first number of a producer that it does not know."""
    topic, other = kafka.topic("events"), kafka.topic("other")
    producer = begin(kafka.log, (other, 0)).producer
    journal = KafkaJournal((topic, 0), -1, producer)
    producer.advance(journal.source, 2**31 - 2)
    for n in range(3):
        assert commit(kafka.log, journal, "x", "y", "z") == 3 * n
    assert producer.sequences[journal.source] == 7


@pytest.mark.parametrize("kill", [False, True])
def test_a_silent_broker_costs_the_term_and_no_more_than_the_time(
    kafka: KafkaSite, kill: bool
) -> None:
    source = (kafka.topic("events"), 0)
    log = kafka.open()
    journal = begin(log, source, "first")
    assert isinstance(commit(log, journal, "a"), int)
    kafka.server.pause()
    began = time.monotonic()
    outcome = commit(log, journal, "b", timeout_s=1.0)
    assert isinstance(outcome, LogUnavailable), outcome
    with pytest.raises(LogUnavailable):
        log.begin_term(source, outgoing(source[0], "no")[0], 1.0)
    assert time.monotonic() - began < 5.0
    if kill:
        kafka.kill()
        kafka.start()
    else:
        kafka.server.resume()
    assert isinstance(commit(log, journal, "c"), Fenced)
    assert isinstance(commit(log, begin(log, source, "second"), "d"), int)
    found = [text for text in values(kafka, source[0]) if text not in ("b", "no")]
    assert found == ["first", "a", "second", "d"]


def test_every_call_ends_while_there_is_no_broker(kafka: KafkaSite) -> None:
    source = (kafka.topic("events"), 0)
    log = KafkaLog(kafka.server.bootstrap, timeout_s=1.5)
    kafka._logs.append(log)
    journal = begin(log, source)
    kafka.stop()
    for call in (
        lambda: begin(log, source, timeout_s=0.5),
        lambda: log.membership("group", [source[0]]),
    ):
        began = time.monotonic()
        with pytest.raises(LogUnavailable):
            call()
        assert time.monotonic() - began < 8.0
    outcome = commit(log, journal, "a", timeout_s=0.5)
    assert isinstance(outcome, LogUnavailable)
