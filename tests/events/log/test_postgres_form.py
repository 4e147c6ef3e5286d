"""A schema in another form than this version's is refused; its functions are renewed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TypeAlias

import psycopg2.extensions
import pytest

from events.log.contract import LogError, Topic
from events.log.postgres import PostgresLog
from tests.events.log.site import PostgresSite, outgoing
from tests.parts.postgres import PostgresServer

Cursor: TypeAlias = psycopg2.extensions.cursor


@pytest.fixture
def old_schema(sql: Cursor) -> Iterator[str]:
    """As the form before terms had it."""
    schema = f"log_{uuid.uuid4().hex[:8]}"
    sql.execute(f"CREATE SCHEMA {schema}")
    sql.execute(
        f"CREATE TABLE {schema}.cluster (only_one boolean PRIMARY KEY DEFAULT true, "
        "id uuid NOT NULL DEFAULT gen_random_uuid(), version text NOT NULL)"
    )
    sql.execute(f"INSERT INTO {schema}.cluster (version) VALUES ('0123456789abcdef')")
    yield schema
    sql.execute(f"DROP SCHEMA {schema} CASCADE")


def test_an_older_form_is_refused_and_left_as_it_is(
    old_schema: str, database: PostgresServer, sql: Cursor
) -> None:
    log = PostgresLog(database.url, schema=old_schema)
    try:
        for _ in range(2):
            with pytest.raises(LogError, match=r"in form 1, .* reads form 2 only: begin with"):
                log.create_topics([Topic("events", 1)])
    finally:
        log.close()
    sql.execute("SELECT count(*) FROM pg_tables WHERE schemaname = %s", [old_schema])
    assert sql.fetchall() == [(1,)]


def test_a_newer_form_is_refused(postgres: PostgresSite, sql: Cursor) -> None:
    postgres.topic("events")
    sql.execute(f"UPDATE {postgres.schema}.cluster SET form = 3")
    with pytest.raises(LogError, match="in form 3"):
        postgres.open().identity()
    sql.execute(f"UPDATE {postgres.schema}.cluster SET form = 2")


def test_functions_of_another_version_are_renewed(postgres: PostgresSite, sql: Cursor) -> None:
    topic = postgres.topic("events")
    sql.execute(f"UPDATE {postgres.schema}.cluster SET version = 'another'")
    assert list(postgres.open().append(outgoing(topic, "x"))) == [0]
    sql.execute(f"SELECT version FROM {postgres.schema}.cluster")
    assert sql.fetchall() != [("another",)]


def test_commits_are_durable_whatever_the_database_has_set(
    postgres: PostgresSite, sql: Cursor
) -> None:
    """Seen in what the log's own sessions have set while they write."""
    topic = postgres.topic("events")
    schema = postgres.schema
    sql.execute(
        f"CREATE TABLE {schema}.seen AS SELECT current_setting('synchronous_commit') AS how "
        "WHERE false"
    )
    sql.execute(
        f"CREATE FUNCTION {schema}.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"INSERT INTO {schema}.seen VALUES (current_setting('synchronous_commit')); "
        "RETURN NEW; END $$; "
        f"CREATE TRIGGER see BEFORE INSERT ON {schema}.record "
        f"FOR EACH ROW EXECUTE FUNCTION {schema}.see()"
    )
    url = postgres.url + ("&" if "?" in postgres.url else "?")
    log = PostgresLog(url + "options=-c%20synchronous_commit%3Doff", schema=schema)
    try:
        log.append(outgoing(topic, "x"))
    finally:
        log.close()
    sql.execute(f"SELECT how FROM {schema}.seen")
    assert sql.fetchall() == [("on",)]
