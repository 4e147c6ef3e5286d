"""Connections of the projections to Postgres, all made here.

Autocommit: a transaction is opened by the statement text, so nothing is sent that is not meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as PlainCursor

from projections.failures import BatchTooLarge, UnreadableRow

__all__ = ["GONE", "Connection", "Cursor", "connect", "is_about_rows", "sentence", "telling_loss"]

GONE = (psycopg2.OperationalError, psycopg2.InterfaceError)
"""What a statement raises when Postgres is away, restarting, out of room or out of time: the
transaction is to be tried again on a new connection."""

CONNECT_TIMEOUT_S = 5

ABOUT_ROWS = ("21", "22", "23", "54")
"""Classes of SQLSTATE: cardinality violation (one row twice in a statement), data exception,
integrity violated, program limit exceeded (a value or an index's row too large). The last one is an
``OperationalError`` for psycopg2."""

INTERNAL_ERROR = "XX000"
"""What Postgres says, among others, of a value that would need 1 GiB."""


def is_about_rows(error: BaseException) -> bool:
    """Whether a statement failed for what is in it, and would fail each time: not for the state
    that Postgres or the connection is in."""
    if isinstance(error, psycopg2.Error):
        code = error.pgcode or ""
        return code[:2] in ABOUT_ROWS or code == INTERNAL_ERROR
    limits = (ValueError, TypeError, OverflowError, RecursionError, MemoryError)
    return isinstance(error, (BatchTooLarge, UnreadableRow, *limits))


@contextmanager
def telling_loss() -> Iterator[None]:
    """A lost connection is an ``OperationalError``, also where psycopg2 says ``DatabaseError``
    without a code (several statements in one text, COPY, ``poll``)."""
    try:
        yield
    except psycopg2.DatabaseError as error:
        if type(error) is psycopg2.DatabaseError and error.pgcode is None:
            raise psycopg2.OperationalError(str(error)) from error
        raise


class Cursor(PlainCursor):  # type: ignore[misc]
    """A cursor that tells a lost connection from a wrong statement."""

    def execute(self, query: Any, arguments: Any = None) -> None:
        """See psycopg2."""
        with telling_loss():
            super().execute(query, arguments)

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
        """See psycopg2."""
        with telling_loss():
            super().copy_expert(sql, file, size)


def connect(
    database_url: str,
    role: str,
    settings: dict[str, str] | None = None,
    factory: type[Connection] | None = None,
) -> Connection:
    """A connection named after ``role``, with the session's ``settings``. Raises one of ``GONE``.

    ``factory``: another class of connection, with its own cursors, e.g. to count statements.
    """
    chosen: dict[str, Any] = {"connection_factory": factory or Connection}
    if factory is None:
        chosen["cursor_factory"] = Cursor
    connection: Connection = psycopg2.connect(
        database_url,
        application_name=f"chronova-{role}",
        client_encoding="UTF8",
        connect_timeout=CONNECT_TIMEOUT_S,
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=3,
        tcp_user_timeout=10_000,
        options=" ".join(f"-c {name}={value}" for name, value in (settings or {}).items()),
        **chosen,
    )
    connection.autocommit = True
    return connection


def sentence(error: BaseException) -> str:
    """An error's text on one line."""
    return " ".join(str(error).split()) or type(error).__name__
