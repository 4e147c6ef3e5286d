"""What only journals of the Postgres log do: their cost, and how Postgres' failures end."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import psycopg2
import psycopg2.extensions
import pytest

from events.log.contract import (
    Fenced,
    Journal,
    Log,
    LogError,
    LogUnavailable,
    Outgoing,
    RecordTooLarge,
    Unstorable,
)
from events.log.postgres_connection import Connection
from tests.events.log.site import LIMIT_S, PostgresSite, outgoing, read, read_to_end
from tests.events.log.test_contract_journals import begin, facts
from tests.parts.postgres import PostgresServer

Cursor: TypeAlias = psycopg2.extensions.cursor


def committed(log: Log, journal: Journal, *texts: str) -> object:
    """The outcome of one batch for one journal."""
    return log.commit([(journal, facts(journal.source, *texts))])[0]


def values(site: PostgresSite, topic: str) -> list[bytes]:
    return [record.value for record in read_to_end(site.reader(topic))]


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What this thread sends; the listener's has its own work."""
    sent: list[str] = []
    run, me = Connection.run, threading.get_ident()

    def counted(self: Connection, statement: str, timeout_s: float) -> object:
        if threading.get_ident() == me:
            sent.append(statement)
        return run(self, statement, timeout_s)

    monkeypatch.setattr(Connection, "run", counted)
    return sent


def test_a_commit_of_many_journals_is_one_statement(
    postgres: PostgresSite, statements: list[str]
) -> None:
    topic = postgres.topic("events", 12)
    journals = [begin(postgres, (topic, number), "me") for number in range(12)]
    statements.clear()
    journals[3] = begin(postgres, (topic, 3), "me again")
    assert len(statements) == 1
    outcomes = postgres.log.commit([(j, facts(j.source, "a", "b")) for j in reversed(journals)])
    assert len(statements) == 2
    assert outcomes == [2 if j is journals[3] else 1 for j in reversed(journals)]


def test_a_batch_without_records_only_asks_for_the_term(postgres: PostgresSite) -> None:
    journal = begin(postgres, (postgres.topic("events"), 0), "me")
    assert committed(postgres.log, journal) == 1
    begin(postgres, journal.source, "other", postgres.open())
    assert isinstance(committed(postgres.log, journal), Fenced)


@pytest.mark.parametrize(
    "bad",
    [
        Outgoing("", "a\0b", b""),
        Outgoing("", "\ud800", b""),
        Outgoing("", "key", b"", {"name": "\udfff"}),
        Outgoing("", "key", b"", {"\udfff\n": "value"}),
    ],
)
def test_what_cannot_be_stored_ends_no_journal(postgres: PostgresSite, bad: Outgoing) -> None:
    topic = postgres.topic("events", 2)
    first, second = (begin(postgres, (topic, number), "me") for number in range(2))
    outcomes = postgres.log.commit(
        [(first, [*facts(first.source, "beside"), bad]), (second, facts(second.source, "good"))]
    )
    assert isinstance(outcomes[0], Unstorable)
    assert isinstance(outcomes[1], int)
    assert isinstance(committed(postgres.log, first, "good too"), int)
    with pytest.raises(Unstorable):
        postgres.log.append([Outgoing(topic, bad.key, bad.value, bad.headers)])
    with pytest.raises(Unstorable):
        postgres.log.begin_term(first.source, bad)
    assert sorted(values(postgres, topic)) == [b"good", b"good too", b"me", b"me"]


@pytest.mark.parametrize(
    ("code", "kind", "goes_on"),
    [
        ("25006", LogUnavailable, False),  # read-only
        ("53100", LogUnavailable, False),  # the disk is full
        ("57014", LogUnavailable, False),  # cancelled
        ("40P01", LogUnavailable, False),  # a deadlock with somebody else's statement
        ("22021", Unstorable, True),  # a text that the database's encoding does not have
        ("54000", RecordTooLarge, True),  # some limit of Postgres
        ("XX000", LogError, False),
        ("XX001", LogError, False),  # damaged data
        ("42501", LogError, False),  # a right that was taken away
        ("P0001", LogError, False),
    ],
)
def test_whatever_postgres_says_is_an_outcome(
    postgres: PostgresSite, sql: Cursor, code: str, kind: type[LogError], goes_on: bool
) -> None:
    """Nothing of that batch is there, and once it is mended the same process goes on."""
    topic = postgres.topic("events", 2)
    bad, good = (begin(postgres, (topic, number), "me") for number in range(2))
    _refuse_facts(postgres, sql, topic, code)
    outcomes = postgres.log.commit(
        [(journal, facts(journal.source, "refused")) for journal in (good, bad)]
    )
    assert type(outcomes[1]) is kind
    if isinstance(outcomes[1], LogUnavailable):
        assert isinstance(outcomes[0], LogUnavailable)
    else:
        assert isinstance(outcomes[0], int), "one journal's end is not the others'"
    sql.execute(f"DROP TRIGGER refusal ON {postgres.schema}.record")
    assert isinstance(committed(postgres.log, bad, "x"), int if goes_on else Fenced)
    again = begin(postgres, bad.source, "me again")
    assert isinstance(committed(postgres.log, again, "good"), int)
    mine = [r.value for r in read_to_end(postgres.reader(topic)) if r.source == bad.source]
    assert mine == [b"me", *([b"x"] if goes_on else []), b"me again", b"good"]


def _refuse_facts(postgres: PostgresSite, sql: Cursor, topic: str, code: str) -> None:
    """Postgres raises ``code`` for every fact for the topic's first partition."""
    schema = postgres.schema
    sql.execute(
        f"SELECT p.id FROM {schema}.partition p JOIN {schema}.topic t ON t.id = p.topic_id "
        "WHERE t.name = %s AND p.number = 0",
        [topic],
    )
    part = sql.fetchall()[0][0]
    sql.execute(
        f"CREATE FUNCTION {schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '{code}'; END $$; "
        f"CREATE TRIGGER refusal BEFORE INSERT ON {schema}.record "
        f"FOR EACH ROW WHEN (NEW.part = {part}) EXECUTE FUNCTION {schema}.refuse()"
    )


def test_an_unknown_outcome_ends_the_journal_and_settles_before_the_next_term(
    postgres: PostgresSite, database: PostgresServer
) -> None:
    topic = postgres.topic("events")
    old = begin(postgres, (topic, 0), "old")
    holder = psycopg2.connect(database.url)
    try:
        with holder.cursor() as cursor, ThreadPoolExecutor(1) as thread:
            cursor.execute(f"SELECT 1 FROM {postgres.schema}.partition FOR UPDATE")
            (outcome,) = postgres.log.commit([(old, facts(old.source, "late"))], timeout_s=0.2)
            assert isinstance(outcome, LogUnavailable)
            assert isinstance(committed(postgres.log, old, "never"), Fenced)
            beginning = thread.submit(begin, postgres, old.source, "new", postgres.open())
            holder.rollback()
            new = beginning.result(LIMIT_S)
    finally:
        holder.close()
    assert isinstance(committed(postgres.log, new, "good"), int)
    records = read_to_end(postgres.reader(topic))
    assert [r.value for r in records if r.value != b"late"] == [b"old", b"new", b"good"]
    assert all(r.offset < new.term for r in records if r.value == b"late")


def test_a_partition_that_lost_records_ends_the_journal(
    postgres: PostgresSite, sql: Cursor
) -> None:
    """As when an older copy of the database is put back under a living writer."""
    source = (postgres.topic("events"), 0)
    journal = begin(postgres, source, "me")
    assert isinstance(committed(postgres.log, journal, "a"), int)
    schema = postgres.schema
    sql.execute(f'DELETE FROM {schema}.record WHERE "offset" = 1')
    sql.execute(f"UPDATE {schema}.partition SET next_offset = 1 WHERE next_offset = 2")
    outcome = committed(postgres.log, journal, "never")
    assert isinstance(outcome, LogUnavailable)
    assert "lost records" in str(outcome)
    assert isinstance(committed(postgres.log, journal, "never"), Fenced)
    assert isinstance(committed(postgres.log, begin(postgres, source, "me"), "b"), int)


def test_a_lost_connection_is_an_unknown_outcome(
    postgres: PostgresSite, sql: Cursor, database: PostgresServer
) -> None:
    topic = postgres.topic("events")
    old = begin(postgres, (topic, 0), "old")
    holder = psycopg2.connect(database.url)
    try:
        with holder.cursor() as cursor, ThreadPoolExecutor(1) as thread:
            cursor.execute(f"SELECT 1 FROM {postgres.schema}.partition FOR UPDATE")
            committing = thread.submit(committed, postgres.log, old, "lost")
            ended = 0
            while not ended and not committing.done():
                sql.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE wait_event_type = 'Lock' AND query LIKE %s",
                    [f"SELECT {postgres.schema}.write(%"],
                )
                ended = len(sql.fetchall())
            assert isinstance(committing.result(LIMIT_S), LogUnavailable)
    finally:
        holder.close()
    new = begin(postgres, old.source, "new")
    assert isinstance(committed(postgres.log, new, "good"), int)
    assert values(postgres, topic) == [b"old", b"new", b"good"]


def test_commits_and_appends_in_any_order_do_not_lock_each_other_out(
    postgres: PostgresSite,
) -> None:
    topic = postgres.topic("events", 6)
    journals = [begin(postgres, (topic, number), "me") for number in range(6)]
    other = postgres.open()

    def append() -> None:
        for n in range(150):
            numbers = range(6) if n % 2 else range(5, -1, -1)
            other.append([Outgoing(topic, "", b"stray", partition=m) for m in numbers])

    with ThreadPoolExecutor(1) as thread:
        appending = thread.submit(append)
        for n in range(150):
            order = journals if n % 3 else journals[::-1]
            outcomes = postgres.log.commit([(j, facts(j.source, "fact")) for j in order])
            assert all(isinstance(outcome, int) for outcome in outcomes), outcomes
        appending.result(LIMIT_S)
    assert values(postgres, topic).count(b"fact") == 6 * 150


def test_what_a_process_commits_it_need_not_fetch(
    postgres: PostgresSite, statements: list[str]
) -> None:
    topic = postgres.topic("events")
    journal = begin(postgres, (topic, 0), "me")
    reader = postgres.reader(topic)
    read(reader, 1)
    statements.clear()
    assert isinstance(committed(postgres.log, journal, "a", "b"), int)
    assert [record.value for record in reader.poll(0.0)] == [b"a", b"b"]
    assert len(statements) == 1


def test_a_batch_that_no_statement_holds_is_refused(
    postgres: PostgresSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("events.log.postgres_writer.BYTES_MAX", 10_000)
    topic = postgres.topic("events", 2)
    large, small = (begin(postgres, (topic, number), "me") for number in range(2))
    outcomes = postgres.log.commit(
        [(large, facts(large.source, *["x" * 1000] * 11)), (small, facts(small.source, "good"))]
    )
    assert isinstance(outcomes[0], RecordTooLarge)
    assert isinstance(outcomes[1], int)
    assert isinstance(committed(postgres.log, large, "smaller"), int)


def test_a_topic_whose_name_cannot_be_is_not_there(postgres: PostgresSite) -> None:
    for name in ("compute.dispatch.a\0b", "compute.dispatch.\ud800"):
        with pytest.raises(LogError):
            postgres.log.append(outgoing(name, "x"))
