"""The listening thread: what it cannot read does not end it."""

from __future__ import annotations

import logging
from typing import TypeAlias

import psycopg2.extensions
import pytest

from events.log.postgres_tail import Lengths
from tests.events.log.site import PostgresSite, outgoing, read
from tests.events.log.test_contract_members import join, share

Cursor: TypeAlias = psycopg2.extensions.cursor


@pytest.mark.parametrize("payload", ["", "no number", "1:2:3:4", "1:9:0:0,0,1:A"])
def test_a_notification_that_nobody_can_read_is_survived(
    postgres: PostgresSite, sql: Cursor, payload: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Readers and members go on."""
    topic = postgres.topic("events", 2)
    reader = postgres.reader(topic)
    member = join(postgres, [topic])
    share([member], [2])
    sql.execute(f"SELECT {postgres.schema}.channel('t') || id FROM {postgres.schema}.topic")
    channel = sql.fetchall()[0][0]
    with caplog.at_level(logging.ERROR, "events.log.postgres_listener"):
        sql.execute("SELECT pg_notify(%s, %s)", [channel, payload])
        other = postgres.open()
        other.append(outgoing(topic, "heard"))
        assert [record.value for record in read(reader, 1)] == [b"heard"]
        newcomer = join(postgres, [topic], other)
        share([member, newcomer], [1, 1])
    assert "the log's listener failed and begins again" in caplog.text


def test_nobody_is_heard_who_does_not_know_the_channel(postgres: PostgresSite, sql: Cursor) -> None:
    """Every role that may connect may notify. It must not make a record that is in no table."""
    topic = postgres.topic("commands")
    reader = postgres.reader(topic)
    postgres.open().append(outgoing(topic, "true"))
    assert [record.value for record in read(reader, 1)] == [b"true"]
    lengths = Lengths()
    lengths.add("key", "", b"forged", 3)
    sql.execute(f"SELECT id FROM {postgres.schema}.topic")
    topic_id = sql.fetchall()[0][0]
    forged = f"1:2:1700000000000000:{lengths.line()}:keyZm9yZ2Vk"
    for channel in (f"{postgres.schema}:t{topic_id}", f"{postgres.schema}::t{topic_id}"):
        sql.execute("SELECT pg_notify(%s, %s)", [channel, forged])
    postgres.open().append(outgoing(topic, "true too"))
    assert [record.value for record in read(reader, 1)] == [b"true too"]
