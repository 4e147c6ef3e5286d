"""The table of services' heartbeats, in a database of a test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import sqlalchemy

from projections.fleet.heartbeats import SERVICE_HEARTBEATS
from tests.parts.fresh_database import fresh_database


@contextmanager
def heartbeat_table(server_url: str) -> Iterator[sqlalchemy.Engine]:
    """The engine of a new database that holds this table and no other; dropped at the end."""
    with fresh_database(server_url) as url:
        made = sqlalchemy.create_engine(
            "postgresql+psycopg2://", creator=lambda: psycopg2.connect(url)
        )
        SERVICE_HEARTBEATS.create(made)
        yield made
        made.dispose()
