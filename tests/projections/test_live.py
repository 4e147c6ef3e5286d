"""Reading the live build."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, ProgrammingError, TimeoutError

from events.log.postgres import PostgresLog
from projections.compute.servers import SERVERS
from projections.connection import connect
from projections.failures import ProjectionNotReady
from projections.live import engine
from projections.rebuild import rebuild
from tests.projections.recorder import Recorder, boot


def test_there_is_nothing_to_read_before_the_first_build(log: PostgresLog, url: str) -> None:
    reads = engine(url)
    with pytest.raises(ProjectionNotReady, match="there are no projections yet"):
        reads.connect()
    rebuild(log, url)
    with reads.connect() as connection:
        assert connection.execute(SERVERS.select()).all() == []
    other = engine(url, version="0123456789abcdef")
    with pytest.raises(ProjectionNotReady, match="of this version of Chronova are being built"):
        other.connect()
    reads.dispose()
    other.dispose()


def test_a_pooled_connection_follows_the_switch_and_cannot_write(
    log: PostgresLog, url: str, recorder: Recorder
) -> None:
    rebuild(log, url)
    reads = engine(url, pool_size=1)
    with reads.connect() as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar()
        recorder.append(boot("one"))
        rebuild(log, url)
        names = connection.execute(text("SELECT id FROM servers")).scalars().all()
        assert names == ["one"], "the same session sees the new build"
        with pytest.raises(ProgrammingError, match="does not exist"):
            connection.execute(text("SELECT * FROM nothing"))
        with pytest.raises(DBAPIError, match="read-only"):
            connection.execute(text("DELETE FROM servers"))
    with reads.connect() as connection:
        assert connection.execute(text("SELECT pg_backend_pid()")).scalar() == pid
    reads.dispose()


def test_what_postgres_ended_meanwhile_costs_no_read(log: PostgresLog, url: str) -> None:
    """After a restart each process finds its idle connections ended: none may fail a request."""
    rebuild(log, url)
    pools = [engine(url, pool_size=3) for _ in range(2)]
    for reads in pools:
        held = [reads.connect() for _ in range(3)]
        for connection in held:
            connection.close()
    ended = connect(url, "test")
    with ended.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'chronova-read'"
        )
        assert cursor.rowcount == 6
    ended.close()
    for reads in pools:
        held = [reads.connect() for _ in range(3)]
        for connection in held:
            assert connection.execute(SERVERS.select()).all() == []
            connection.close()
        reads.dispose()


def test_a_read_is_one_round_trip(log: PostgresLog, url: str) -> None:
    rebuild(log, url)
    reads = engine(url, pool_size=1)
    reads.connect().close()
    sent: list[str] = []
    event.listen(reads, "before_cursor_execute", lambda *a: sent.append(a[2]))
    with reads.connect() as connection:
        connection.execute(SERVERS.select()).all()
        raw = connection.connection.dbapi_connection
        assert raw is not None
        assert raw.info.transaction_status == 0, "no transaction was begun"
    assert len(sent) == 1
    reads.dispose()


def test_the_pool_is_bounded(log: PostgresLog, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.live.POOL_WAIT_S", 0.1)
    rebuild(log, url)
    reads = engine(url, pool_size=2)
    held = [reads.connect() for _ in range(2)]
    failures: list[BaseException] = []

    def third() -> None:
        try:
            reads.connect()
        except TimeoutError as error:
            failures.append(error)

    thread = threading.Thread(target=third)
    thread.start()
    thread.join(10)
    assert len(failures) == 1
    for connection in held:
        connection.close()
    reads.dispose()
