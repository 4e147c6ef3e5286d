"""The Kafka log with a broker that asks who is there."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronova.embedded import broker
from events.log.contract import LogUnavailable, Topic
from events.log.kafka import KafkaLog
from tests.events.log.site import outgoing, read_to_end
from tests.events.log.test_contract_members import Following

PASSWORD = secrets.token_hex(8)


def options(password: str) -> dict[str, object]:
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "chronova",
        "sasl_plain_password": password,
    }


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker that knows one user and no strangers."""
    data_dir: Path = tmp_path_factory.mktemp("broker")
    login = (
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        f'username="chronova" password="{PASSWORD}" user_chronova="{PASSWORD}";'
    )
    settings = {
        "listener.security.protocol.map": "PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.plaintext.plain.sasl.jaas.config": login,
    }
    try:
        yield broker.start(data_dir, settings=settings, client_options=options(PASSWORD))
    finally:
        broker.stop(data_dir)


def test_credentials_go_to_every_client(guarded: str) -> None:
    log = KafkaLog(guarded, client_options=options(PASSWORD))
    log.create_topics([Topic("commands", 1), Topic("events", 1)])
    log.append(outgoing("commands", "0"))
    member = log.membership("group", ["commands"])
    one = Following(member)
    assert one.take(1) == [b"0"]
    journal = log.begin_term(("events", 0), outgoing("events", "term")[0])
    assert isinstance(log.commit([(journal, outgoing("events", "of 0"))])[0], int)
    reader = log.reader({("events", 0): 0})
    assert [record.value for record in read_to_end(reader)] == [b"term", b"of 0"]
    for each in (reader, member, log):
        each.close()


@pytest.mark.parametrize("given", [{}, options("wrong")])
def test_a_stranger_is_told_so_in_time(guarded: str, given: dict[str, object]) -> None:
    log = KafkaLog(guarded, client_options=given)
    with pytest.raises(LogUnavailable):
        log.ping(2.0)
    with pytest.raises(LogUnavailable):
        log.append(outgoing("commands", "x"), timeout_s=2.0)
    log.close()
