"""Connections of the projections to Postgres, all made here.

Autocommit: a transaction is opened by the statement text, so nothing is sent that is not meant.
"""

from __future__ import annotations

from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

__all__ = ["GONE", "Connection", "Cursor", "connect", "sentence"]

GONE = (psycopg2.OperationalError, psycopg2.InterfaceError)
"""What a statement raises when Postgres is away, restarting, out of room or out of time: the
transaction is to be tried again on a new connection."""

CONNECT_TIMEOUT_S = 5


def connect(
    database_url: str,
    role: str,
    settings: dict[str, str] | None = None,
    factory: type[Connection] | None = None,
) -> Connection:
    """A connection named after ``role``, with the session's ``settings``. Raises one of ``GONE``.

    ``factory``: another class of connection, e.g. one that counts statements.
    """
    chosen: dict[str, Any] = {"connection_factory": factory} if factory else {}
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
