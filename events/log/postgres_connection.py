"""Connections of the Postgres log: one statement at a time, each bounded in time by the client.

psycopg2's asynchronous mode, because a server that hangs (stopped, a dead network) must not
hang its clients: the wait for an answer is our own ``poll`` with a deadline. Every statement is
its own transaction. A statement that was sent and not answered may or may not have happened:
it is never repeated here, its connection is dropped, the caller gets ``LogUnavailable``.
"""

from __future__ import annotations

import re
import select
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg2
import psycopg2.extensions as pg

from events.log.contract import LogError, LogUnavailable
from events.log.postgres_errors import ends_session, sentence, translated
from events.log.postgres_schema import FORM, VERSION, fetch_statement, installation

Row = tuple[Any, ...]

CONNECT_TIMEOUT_S = 3.0
RETRY_S = 0.05
IDLE_S_MAX = 60.0
STATEMENT_TIMEOUT_MS = 15_000

_SESSION = {
    # All statements are look-ups by primary key with tiny results' plans: no other plan is good.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "statement_timeout": str(STATEMENT_TIMEOUT_MS),
    "client_min_messages": "warning",
    "standard_conforming_strings": "on",
    # A write that waited for another's lock has to see what that one wrote.
    "default_transaction_isolation": "read\\ committed",
    "bytea_output": "hex",
}
_NETWORK = {
    "application_name": "chronova-log",
    "client_encoding": "UTF8",
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


_DURABLE = """
SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') = 'off';
"""
"""What is acknowledged survives a power cut, whatever the database's default is."""


def check_schema_name(schema: str) -> str:
    """``schema`` if it can stand in statements as it is. Raises ``ValueError``."""
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,30}", schema):
        raise ValueError(f"not a plain schema name: {schema!r}")
    return schema


class Connection:
    """One session with the server. Not thread-safe."""

    def __init__(self, url: str, timeout_s: float) -> None:
        parameters: dict[str, Any] = {**_NETWORK, **_parse(url)}
        options = [parameters.pop("options", "")]
        options += [f"-c {name}={value}" for name, value in _SESSION.items()]
        self.used_at = time.monotonic()
        try:
            self._session = psycopg2.connect(
                **parameters, options=" ".join(options).strip(), async_=True
            )
        except psycopg2.Error as error:
            raise LogUnavailable(sentence(error)) from error
        self._wait(timeout_s, connecting=True)
        self._cursor = self._session.cursor()
        self._poll = select.poll()
        self._poll.register(self._session.fileno(), select.POLLIN)

    @property
    def closed(self) -> bool:
        """Whether it can be used no more."""
        return bool(self._session.closed)

    def fileno(self) -> int:
        """For ``select``."""
        return int(self._session.fileno())

    def run(self, statement: str, timeout_s: float) -> list[Row]:
        """The statement's rows. Raises ``LogUnavailable``, ``LogError``."""
        try:
            self._cursor.execute(statement)
        except psycopg2.Error as error:
            raise self._translated(error) from error
        self._wait(timeout_s)
        return self._cursor.fetchall() if self._cursor.description else []

    def notifications(self) -> list[tuple[str, str]]:
        """Channel and payload of what has arrived; does not wait."""
        try:
            self._session.poll()
        except psycopg2.Error as error:
            raise self._translated(error) from error
        arrived = [(notify.channel, notify.payload) for notify in self._session.notifies]
        self._session.notifies.clear()
        return arrived

    @property
    def notified(self) -> bool:
        """Whether notifications came along with an answer."""
        return bool(self._session.notifies)

    def stale(self) -> bool:
        """Whether an idle connection has heard from the server: it said good-bye."""
        return self.closed or bool(self._poll.poll(0))

    def close(self) -> None:
        """Drop the session; a statement under way may still happen."""
        self._session.close()

    def _wait(self, timeout_s: float, connecting: bool = False) -> None:
        deadline = time.monotonic() + timeout_s
        poll = select.poll() if connecting else self._poll
        try:
            while (state := self._session.poll()) != pg.POLL_OK:
                writing = state == pg.POLL_WRITE
                poll.register(self._session.fileno(), select.POLLOUT if writing else select.POLLIN)
                left_s = deadline - time.monotonic()
                if left_s <= 0 or not poll.poll(left_s * 1000):
                    self.close()
                    raise LogUnavailable(f"Postgres did not answer within {timeout_s:g} s")
                if connecting:
                    poll = select.poll()
                elif writing:
                    poll.register(self._session.fileno(), select.POLLIN)
        except psycopg2.Error as error:
            raise self._translated(error) from error

    def _translated(self, error: psycopg2.Error) -> LogError:
        if ends_session(error):
            self.close()
        return translated(error)


def _parse(url: str) -> dict[str, Any]:
    try:
        return dict(pg.parse_dsn(url))
    except psycopg2.Error as error:
        raise ValueError(f"not a Postgres URL: {sentence(error)}") from error


class Pool:
    """The connections of a process; as many as threads use at once, up to ``size``."""

    def __init__(self, url: str, schema: str, size: int = 8) -> None:
        _parse(url)
        self._url = url
        self._schema = check_schema_name(schema)
        self._places = threading.BoundedSemaphore(size)
        self._idle: list[Connection] = []
        self._installed = False
        self._installing = threading.Lock()
        self._closed = False

    def run(self, statement: str, timeout_s: float) -> list[Row]:
        """Run one statement on any connection; connecting is retried within the time,
        the statement is not."""
        deadline = time.monotonic() + timeout_s
        if not self._places.acquire(timeout=timeout_s):
            raise LogUnavailable(f"no connection to Postgres became free within {timeout_s:g} s")
        try:
            connection = self._take(deadline)
            try:
                return connection.run(statement, max(0.001, deadline - time.monotonic()))
            finally:
                self._give_back(connection)
        finally:
            self._places.release()

    def connect(self, deadline: float, stop: Callable[[], bool] = lambda: False) -> Connection:
        """A connection of the caller's own, with everything installed, by ``deadline``."""
        while True:
            left_s = deadline - time.monotonic()
            try:
                connection = Connection(self._url, max(0.001, min(left_s, CONNECT_TIMEOUT_S)))
                try:
                    self._prepare(connection)
                except LogError:
                    connection.close()
                    raise
                return connection
            except LogUnavailable:
                if stop() or left_s <= RETRY_S:
                    raise
                time.sleep(RETRY_S)

    def close(self) -> None:
        """Close what is idle now, and the rest when it is given back."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def close_idle(self) -> None:
        """Close what nobody has needed for a while; the oldest lie first."""
        limit = time.monotonic() - IDLE_S_MAX
        while True:
            try:
                oldest = self._idle.pop(0)
            except IndexError:
                return
            if oldest.used_at >= limit:
                self._idle.insert(0, oldest)
                return
            oldest.close()

    def _take(self, deadline: float) -> Connection:
        if self._closed:
            raise LogUnavailable("the log has been closed")
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self.connect(deadline)
            if not connection.stale():
                return connection
            connection.close()

    def _give_back(self, connection: Connection) -> None:
        if self._closed or connection.closed:
            connection.close()
        else:
            connection.used_at = time.monotonic()
            self._idle.append(connection)

    def _prepare(self, connection: Connection) -> None:
        if not self._installed:
            with self._installing:
                self._install(connection)
                self._installed = True
        try:
            statements = _DURABLE + fetch_statement(self._schema)
            connection.run(statements, STATEMENT_TIMEOUT_MS / 1000)
        except LogError:
            self._installed = False  # someone dropped the schema: look again next time
            raise

    def _install(self, connection: Connection) -> None:
        timeout_s = STATEMENT_TIMEOUT_MS / 1000
        there = connection.run(f"SELECT to_regclass('{self._schema}.cluster')", timeout_s)
        if there[0][0] is not None:
            # As JSON: the oldest form does not have the column.
            version, form = connection.run(
                f"SELECT version, to_jsonb(c)->>'form' FROM {self._schema}.cluster c", timeout_s
            )[0]
            if form != str(FORM):
                raise LogError(
                    f"the schema {self._schema} of this database holds a log in form "
                    f"{form or 1}, and this version of Chronova reads form {FORM} only: "
                    "begin with an empty database (or data folder), or go on with the version "
                    "that made it"
                )
            if version == VERSION:
                return
        connection.run(installation(self._schema), timeout_s)
