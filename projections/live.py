"""Reading the live projection.

Connections name the schema ``projection_live`` and nothing else: a switch renames schemas, so each
statement reads whole tables of one build, the one that is live when it begins. No look-up, no
round trip is spent on it. Whoever needs several statements to agree uses one statement:
in autocommit mode, as here, each is its own snapshot anyway.

A new connection checks once that the live build is of this version; until it is,
``ProjectionNotReady`` is raised, which an API answers with 503.
"""

from __future__ import annotations

import select
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import InvalidatePoolError

from projections.builds import LIVE_SCHEMA
from projections.connection import connect
from projections.failures import ProjectionNotReady
from projections.model import read_model

STATEMENT_S_MAX = 10
POOL_WAIT_S = 5.0


def engine(database_url: str, pool_size: int = 10, version: str | None = None) -> Engine:
    """An engine that reads the live build: at most ``pool_size`` connections, read-only,
    autocommit (one round trip for a statement).

    Connecting raises ``ProjectionNotReady`` while no build of ``version`` (this code's) is live;
    a thread waits ``POOL_WAIT_S`` for a connection, then gets ``sqlalchemy.exc.TimeoutError``.
    """
    wanted = version or read_model().version()
    settings = {
        "search_path": LIVE_SCHEMA,
        "default_transaction_read_only": "on",
        "statement_timeout": f"{STATEMENT_S_MAX}s",
        "jit": "off",
    }

    def connected() -> Any:
        connection = connect(database_url, "read", settings)
        found = None
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('chronova.projections')")
            if cursor.fetchone() != (None,):
                cursor.execute("SELECT version FROM chronova.projections WHERE state = 'live'")
                found = cursor.fetchone()
        if found != (wanted,):
            connection.close()
            raise ProjectionNotReady(
                "the projections of this version of Chronova are being built"
                if found
                else "there are no projections yet: the projector has not built any"
            )
        return connection

    made = create_engine(
        "postgresql+psycopg2://",
        creator=connected,
        isolation_level="AUTOCOMMIT",
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_S,
        pool_use_lifo=True,
    )
    event.listen(made, "checkout", _not_ended)
    return made


def _not_ended(connection: Any, *_: object) -> None:
    """Let the pool replace a connection that Postgres has ended since it was used last.

    Who waits for nothing hears only a good-bye. Looking costs 2 µs and no round trip; each idle
    connection of each process would else cost a request after a restart of Postgres. Raises
    ``InvalidatePoolError``, upon which the pool connects again.
    """
    heard = select.poll()
    if not connection.closed:
        heard.register(connection.fileno(), select.POLLIN)
    if connection.closed or heard.poll(0):
        raise InvalidatePoolError("Postgres has ended the connection")
