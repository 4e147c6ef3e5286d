"""A database of a test's own on a running server."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
from psycopg2.extensions import make_dsn


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """An empty database, as a libpq connection string; dropped at the end."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    _run(server_url, f"CREATE DATABASE {name}")
    try:
        yield make_dsn(server_url, dbname=name)
    finally:
        _run(server_url, f"DROP DATABASE {name} WITH (FORCE)")


def _run(server_url: str, statement: str) -> None:
    with closing(psycopg2.connect(server_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
