"""Strangers read the log: Confluent's client and deserializer, which nobody here wrote."""

from __future__ import annotations

import itertools
import time
import uuid
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient, record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from events.log.contract import Log, Outgoing, Record, Topic
from events.log.kafka import KafkaLog
from events.log.postgres import PostgresLog
from events.log.records import Codec, headers
from events.message import MESSAGES, Context, Event, Message
from events.outcome import CommandRefused
from schemas.catalog import catalog, id_of
from tests.parts.broker import Broker
from tests.parts.fresh_database import fresh_database
from tests.parts.postgres import PostgresServer
from tests.schemas import golden

NAME = "chronova.compute.ServerCreated"
LIMIT_S = 30.0


@pytest.fixture
def client(registry_url: str) -> Any:
    with SchemaRegistryClient({"url": registry_url}) as made:
        yield made


def messages(domain: str = "") -> list[Message]:
    """One of each class (of the events of ``domain``), with all fields filled."""
    return [
        msgspec.convert(golden.read(version).full.value, MESSAGES[version.message])
        for version in catalog().versions()
        if catalog().newest(version.message) == version
        and (not domain or _is_event_of(domain, version.message))
    ]


def _is_event_of(domain: str, message: str) -> bool:
    cls = MESSAGES[message]
    return issubclass(cls, Event) and cls.type_domain in (domain, "outcome")


def fields(message: Message) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(message, builtin_types=(bytes,))
    return shown


def test_every_message_is_decoded(client: SchemaRegistryClient) -> None:
    decode = AvroDeserializer(client)
    for message in messages():
        assert decode(Codec().written(message), None) == fields(message)


def test_a_topics_union_reads_all_its_records(client: SchemaRegistryClient) -> None:
    decode = AvroDeserializer(client, conf={"use.latest.version": True})
    value = SerializationContext("compute.events", MessageField.VALUE)
    refused = SerializationContext("compute.refusals", MessageField.VALUE)
    for message in messages("compute"):
        where = refused if isinstance(message, CommandRefused) else value
        assert decode(Codec().written(message), where) == fields(message)


def test_records_of_a_postgres_log(client: SchemaRegistryClient, database: PostgresServer) -> None:
    with fresh_database(database.url) as url:
        log = PostgresLog(url)
        try:
            log.create_topics([Topic("compute.events", 1)])
            sent = messages("compute")
            append(log, "compute.events", sent)
            reader = log.reader({("compute.events", 0): 0})
            records: list[Record] = []
            deadline = time.monotonic() + LIMIT_S
            while len(records) < len(sent) and time.monotonic() < deadline:
                records += reader.poll(1.0)
            reader.close()
        finally:
            log.close()
    decode = AvroDeserializer(client)
    value = SerializationContext("compute.events", MessageField.VALUE)
    assert [decode(record.value, value) for record in records] == [fields(m) for m in sent]


def test_records_of_a_kafka_topic(client: SchemaRegistryClient, broker: Broker) -> None:
    topic = f"tapped-{uuid.uuid4().hex[:8]}"
    log = KafkaLog(broker.bootstrap)
    sent = messages("compute")
    try:
        log.create_topics([Topic(topic, 1)])
        append(log, topic, sent)
    finally:
        log.close()
    decode = AvroDeserializer(client)
    value = SerializationContext(topic, MessageField.VALUE)
    taken = take(broker.bootstrap, topic, len(sent))
    assert [decode(record.value(), value) for record in taken] == [fields(m) for m in sent]
    for record, message in zip(taken, sent, strict=True):
        made = {name: text.decode() for name, text in record.headers()}
        assert made["ce_type"] == f"chronova.{message.type_name}"
        assert made["ce_specversion"] == "1.0"
        assert made["content-type"] == "application/avro"


def test_a_stranger_may_write_what_is_known(client: SchemaRegistryClient) -> None:
    """A producer with the same schema gets our id; with any other it is refused."""
    event = next(m for m in messages("compute") if m.type_name == "compute.ServerCreated")
    text = client.get_latest_version(NAME).schema.schema_str
    conf = {"subject.name.strategy": record_subject_name_strategy}
    value = SerializationContext("compute.events", MessageField.VALUE)
    encode = AvroSerializer(client, text, conf=conf)
    assert encode(fields(event), value) == Codec().written(event)
    other = AvroSerializer(client, '"string"')
    with pytest.raises(SchemaRegistryError) as refused:
        other("text", value)
    assert (refused.value.http_status_code, refused.value.error_code) == (422, 42205)


def test_what_the_client_can_ask(client: SchemaRegistryClient) -> None:
    assert NAME in client.get_subjects()
    assert client.get_versions(NAME) == [1]
    latest = client.get_latest_version(NAME)
    assert latest.schema_id == id_of("compute.ServerCreated", 1)
    found = client.lookup_schema(NAME, latest.schema)
    assert (found.version, found.schema_id) == (1, latest.schema_id)
    assert client.get_version(NAME, 1).schema_id == latest.schema_id
    assert client.get_compatibility(NAME) == "FULL_TRANSITIVE"
    assert client.get_schema_types() == ["AVRO"]
    assert client.get_mode(NAME) == "READONLY"
    with pytest.raises(SchemaRegistryError) as unknown:
        client.get_schema(3)
    assert (unknown.value.http_status_code, unknown.value.error_code) == (404, 40403)


def append(log: Log, topic: str, sent: list[Message]) -> None:
    """Write them as the log holds them."""
    numbers = itertools.count(1)
    log.append(
        [
            Outgoing(
                topic,
                "p",
                Codec().written(message),
                headers(Context(id=f"id-{next(numbers)}", time=1), message.type_name, "/test"),
            )
            for message in sent
        ]
    )


def take(bootstrap: str, topic: str, count: int) -> list[Any]:
    """The first ``count`` records of a topic, by librdkafka."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"{topic}-tap",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    taken: list[Any] = []
    try:
        consumer.subscribe([topic])
        deadline = time.monotonic() + LIMIT_S
        while len(taken) < count and time.monotonic() < deadline:
            taken += consumer.consume(count - len(taken), 1.0)
    finally:
        consumer.close()
    assert [record.error() for record in taken if record.error()] == []
    return taken
