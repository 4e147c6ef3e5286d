"""What only the Postgres log does: its retention, its limits in time, its cost."""

from __future__ import annotations

import socket
import uuid
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import psycopg2.extensions
import pytest

from events.log.contract import EARLIEST, LogUnavailable, Outgoing, Topic, Unstorable
from events.log.postgres import PostgresLog
from tests.events.log.site import PostgresSite, outgoing, read, read_to_end, until
from tests.parts.postgres import PostgresServer


def test_many_processes_may_start_on_an_empty_database(database: PostgresServer) -> None:
    schema = f"log_{uuid.uuid4().hex[:8]}"
    logs = [PostgresLog(database.url, schema=schema) for _ in range(8)]
    try:
        with ThreadPoolExecutor(8) as threads:
            assert len(set(threads.map(PostgresLog.identity, logs))) == 1
    finally:
        for log in logs:
            log.close()


def test_retention_forgets_the_old_in_bounded_steps(
    postgres: PostgresSite, sql: psycopg2.extensions.cursor
) -> None:
    topic, kept = postgres.name("replies"), postgres.name("kept") + ".events"
    postgres.log.create_topics([Topic(topic, 1, retention_ms=60_000), Topic(kept, 1)])
    postgres.log.append(outgoing(topic, *map(str, range(10))) + outgoing(kept, "x"))
    behind = postgres.reader(topic)
    hour = 3_600_000_000
    schema = postgres.schema
    # Even a row that says so does not make a fact old.
    sql.execute(f"UPDATE {schema}.topic SET retention_ms = 60000 WHERE name = %s", [kept])
    sql.execute(f'UPDATE {schema}.record SET "timestamp" = "timestamp" - {hour}')
    sql.execute(f"UPDATE {schema}.partition SET last_timestamp = last_timestamp - {hour}")
    postgres.log.append(outgoing(topic, "new"))
    for left in (8, 5, 2, 1):
        sql.execute(f"SELECT {schema}.trim(3)")
        assert [record.value for record in read(postgres.reader(topic), left)][-1] == b"new"
    assert [record.value for record in read_to_end(behind)] == [b"new"]
    assert postgres.log.offset_at((topic, 0), 0) == 10
    assert len(read_to_end(postgres.reader(kept))) == 1


def test_retention_follows_what_a_topic_should_have(
    postgres: PostgresSite, sql: psycopg2.extensions.cursor
) -> None:
    topic = postgres.name("refusals")
    for retention_ms in (60_000, 1):
        postgres.log.create_topics([Topic(topic, 1, retention_ms)])
        sql.execute(f"SELECT retention_ms FROM {postgres.schema}.topic WHERE name = %s", [topic])
        assert sql.fetchall() == [(retention_ms,)]


def test_a_reader_passes_over_what_is_wholly_forgotten(
    postgres: PostgresSite, sql: psycopg2.extensions.cursor
) -> None:
    topic = postgres.name("replies")
    postgres.log.create_topics([Topic(topic, 1, retention_ms=1)])
    postgres.log.append(outgoing(topic, *map(str, range(10))))
    sql.execute(f'UPDATE {postgres.schema}.record SET "timestamp" = 0')
    sql.execute(f"UPDATE {postgres.schema}.partition SET last_timestamp = 0")
    sql.execute(f"SELECT {postgres.schema}.trim(100)")
    reader = postgres.reader(topic)
    assert read_to_end(reader) == []
    assert reader.positions() == {(topic, 0): 10}


def test_what_happened_has_no_retention(postgres: PostgresSite) -> None:
    with pytest.raises(ValueError, match="for ever"):
        postgres.log.create_topics([Topic("compute.events", 1, retention_ms=1)])


def test_a_key_with_a_nul_is_refused(postgres: PostgresSite) -> None:
    topic = postgres.topic("events")
    with pytest.raises(Unstorable, match="NUL"):
        postgres.log.append([Outgoing(topic, "a\0b", b"")])
    assert read_to_end(postgres.reader(topic)) == []


def test_a_lock_that_is_not_released_holds_nobody_for_ever(
    postgres: PostgresSite, database: PostgresServer
) -> None:
    """And what was unknown becomes known: the statement ends wholly done."""
    topic = postgres.topic("events")
    holder = psycopg2.connect(database.url)
    try:
        with holder.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {postgres.schema}.partition FOR UPDATE")
            with pytest.raises(LogUnavailable, match="did not answer"):
                postgres.log.append(outgoing(topic, "patient"), timeout_s=0.2)
    finally:
        holder.close()
    assert [record.value for record in read(postgres.reader(topic), 1)] == [b"patient"]


def test_a_server_that_is_away_is_said_so_in_time() -> None:
    log = PostgresLog("postgresql://nobody@127.0.0.1:1/nothing", statement_s=0.2)
    with pytest.raises(LogUnavailable, match="refused"):
        log.ping(0.2)
    with pytest.raises(LogUnavailable):
        log.identity()
    log.close()
    with pytest.raises(LogUnavailable, match="closed"):
        log.ping(0.2)


def test_a_server_that_hangs_is_said_so_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        log = PostgresLog(f"postgresql://nobody@127.0.0.1:{port}/nothing", statement_s=0.2)
        with pytest.raises(LogUnavailable, match="did not answer"):
            log.ping(0.2)
        log.close()


def test_connections_from_before_a_restart_are_not_used(postgres: PostgresSite) -> None:
    topic = postgres.topic("events")
    postgres.log.append(outgoing(topic, "before"))
    postgres.stop()
    postgres.start()
    assert list(postgres.log.append(outgoing(topic, "after"))) == [1]


def test_all_connections_in_use_is_a_bound_and_not_a_hang(
    database: PostgresServer, postgres: PostgresSite
) -> None:
    topic = postgres.topic("events")
    narrow = PostgresLog(database.url, schema=postgres.schema, connections_max=1)
    holder = psycopg2.connect(database.url)
    try:
        narrow.partitions(topic)
        with holder.cursor() as cursor, ThreadPoolExecutor(1) as thread:
            cursor.execute(f"SELECT 1 FROM {postgres.schema}.partition FOR UPDATE")
            first = thread.submit(narrow.append, outgoing(topic, "x"), 5.0)
            with pytest.raises(LogUnavailable):
                narrow.append(outgoing(topic, "y"), 0.2)
            holder.rollback()
            assert len(first.result(10)) == 1
    finally:
        holder.close()
        narrow.close()


def test_a_later_reader_sees_at_once_what_came_after_an_earlier_one(postgres: PostgresSite) -> None:
    """The ends that one reader had heard of passed for those of the next: it waited for seconds,
    and a decider with it that took over."""
    topic = postgres.topic("events", 1)
    other = postgres.open()
    other.append([Outgoing(topic, "k", b"1")])
    first = postgres.log.reader({(topic, 0): EARLIEST})
    assert len(read(first, 1)) == 1
    other.append([Outgoing(topic, "k", b"2")])
    assert len(read(first, 1)) == 1
    log = postgres.log
    assert isinstance(log, PostgresLog)
    until(lambda: bool(log._listener._listening), "it listens")
    heard = set(log._listener._listening)
    first.close()
    postgres.reader(postgres.topic("elsewhere"))
    until(lambda: not heard <= log._listener._listening, "the first reader's topic is left")
    other.append([Outgoing(topic, "k", b"3")])
    reader = postgres.closing(postgres.log.reader({(topic, 0): 2}))
    assert [record.value for record in reader.poll(0.0)] == [b"3"]
