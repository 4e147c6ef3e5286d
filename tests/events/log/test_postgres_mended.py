"""Postgres that cannot write for a time: the process goes on when it can, without a restart."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import psycopg2.extensions
import pytest

from events.log.contract import LogError, LogUnavailable
from tests.events.log.site import PostgresSite, outgoing, persistently, read_to_end, until
from tests.events.log.test_contract_journals import begin, facts
from tests.events.log.test_contract_members import Following, join
from tests.parts.postgres import ForeignServer, PostgresServer

Cursor: TypeAlias = psycopg2.extensions.cursor
SIZE_MIB = 4


@pytest.fixture
def own(database: PostgresServer) -> None:
    if isinstance(database, ForeignServer):
        pytest.skip("this server is somebody's, and would be of no use to them meanwhile")


@pytest.fixture
def small_tablespace(own: None, sql: Cursor) -> Iterator[str]:
    """A tablespace with little room, on a file system of its own."""
    sql.execute("SHOW data_directory")
    server_data = Path(sql.fetchall()[0][0])
    if os.geteuid() != 0 or shutil.which("mount") is None or not server_data.exists():
        pytest.skip("a small file system needs root, mount(8), and a server on this machine")
    folder = Path(tempfile.mkdtemp(prefix="chronova-small-"))
    name = folder.name.replace("-", "_").lower()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", str(folder)]
    done = subprocess.run(mount, check=False, capture_output=True, text=True, timeout=30)
    if done.returncode:
        folder.rmdir()
        pytest.skip(f"no small file system can be mounted here: {done.stderr.strip()}")
    owner = server_data.stat()
    os.chown(folder, owner.st_uid, owner.st_gid)
    sql.execute(f"CREATE TABLESPACE {name} LOCATION '{folder}'")
    try:
        yield name
    finally:
        sql.execute(
            "SELECT format('ALTER TABLE %s SET TABLESPACE pg_default; "
            "ALTER INDEX %s.record_pkey SET TABLESPACE pg_default', c.oid::regclass, "
            "c.relnamespace::regnamespace) FROM pg_class c JOIN pg_tablespace t "
            f"ON t.oid = c.reltablespace WHERE t.spcname = '{name}' AND c.relkind = 'r'"
        )
        for (statement,) in sql.fetchall():
            sql.execute(statement)
        sql.execute(f"DROP TABLESPACE {name}")
        subprocess.run(["umount", str(folder)], check=True, timeout=30)
        folder.rmdir()


@pytest.fixture
def read_only(own: None, sql: Cursor) -> Iterator[str]:
    """The statement with which the database's new sessions become read-only."""
    sql.execute("SELECT current_database()")
    name = sql.fetchall()[0][0]
    yield f"ALTER DATABASE {name} SET default_transaction_read_only = on"
    sql.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")


def test_a_database_that_is_read_only_for_a_time(
    postgres: PostgresSite, sql: Cursor, read_only: str
) -> None:
    """As after a fail-over: sessions are lost, the new ones cannot write, then others can."""
    events, commands = postgres.topic("events"), postgres.topic("commands", 2)
    journal = begin(postgres, (events, 0), "me")
    member = join(postgres, [commands])
    until(lambda: bool(member.step().assigned), "partitions assigned")
    sql.execute(read_only)
    sql.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'chronova-log'"
    )
    (outcome,) = postgres.log.commit([(journal, facts(journal.source, "refused"))])
    assert isinstance(outcome, LogError)
    with pytest.raises(LogUnavailable, match="read-only"):
        begin(postgres, (events, 0), "refused")
    with pytest.raises(LogUnavailable, match="read-only"):
        postgres.log.append(outgoing(commands, "refused"))
    sql.execute(read_only.replace("= on", "= off"))
    _goes_on(postgres, events, commands, member)


def test_a_disk_that_is_full_for_a_time(
    postgres: PostgresSite, sql: Cursor, small_tablespace: str
) -> None:
    events, commands = postgres.topic("events"), postgres.topic("commands", 2)
    journal = begin(postgres, (events, 0), "me")
    member = join(postgres, [commands])
    until(lambda: bool(member.step().assigned), "partitions assigned")
    schema = postgres.schema
    sql.execute(f"ALTER TABLE {schema}.record SET TABLESPACE {small_tablespace}")
    sql.execute(f"ALTER INDEX {schema}.record_pkey SET TABLESPACE {small_tablespace}")
    texts = ["x" * 100_000] * 5
    outcomes = [postgres.log.commit([(journal, facts(journal.source, *texts))])[0]]
    while isinstance(outcomes[-1], int):
        outcomes += postgres.log.commit([(journal, facts(journal.source, *texts))])
    assert isinstance(outcomes[-1], LogUnavailable), outcomes[-1]
    assert "No space" in str(outcomes[-1])
    sql.execute(f"ALTER TABLE {schema}.record SET TABLESPACE pg_default")
    sql.execute(f"ALTER INDEX {schema}.record_pkey SET TABLESPACE pg_default")
    _goes_on(postgres, events, commands, member)
    kept = [r for r in read_to_end(postgres.reader(events)) if len(r.value) == 100_000]
    assert len(kept) == 5 * (len(outcomes) - 1), "a batch is there whole or not at all"


def _goes_on(postgres: PostgresSite, events: str, commands: str, member: Following) -> None:
    """The same process begins a term, commits, appends and consumes."""
    persistently(lambda: postgres.log.ping(1.0))
    journal = begin(postgres, (events, 0), "me again")
    (outcome,) = postgres.log.commit([(journal, facts(journal.source, "good"))])
    assert isinstance(outcome, int), outcome
    postgres.log.append(outgoing(commands, "good"))
    values = [record.value for record in read_to_end(postgres.reader(events))]
    assert values[-2:] == [b"me again", b"good"]
    assert b"refused" not in values

    def consumed() -> bool:
        try:
            member.step()
        except LogUnavailable:
            return False
        return bool(member.records) and member.records[-1].value == b"good"

    until(consumed, "the member goes on")
