"""A database and a log of each test's own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from events.log.postgres import PostgresLog
from events.topics import all_topics
from projections.connection import Connection, connect
from tests.projections.recorder import Recorder

if TYPE_CHECKING:
    from tests.parts.postgres import PostgresServer

PARTITIONS = 3


@pytest.fixture
def url(database: PostgresServer) -> Iterator[str]:
    """A fresh database, as a libpq connection string."""
    name = f"projections_{uuid.uuid4().hex[:12]}"
    admin = psycopg2.connect(database.url)
    admin.autocommit = True
    try:
        with admin.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
    finally:
        admin.close()
    yield make_dsn(database.url, dbname=name)
    admin = psycopg2.connect(database.url)
    admin.autocommit = True
    try:
        with admin.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        admin.close()


@pytest.fixture
def log(url: str) -> Iterator[PostgresLog]:
    """A log with all topics, in the same database."""
    made = PostgresLog(url)
    made.create_topics(all_topics(PARTITIONS))
    yield made
    made.close()


@pytest.fixture
def recorder(log: PostgresLog) -> Recorder:
    """Writes events into ``log``."""
    return Recorder(log)


@pytest.fixture
def control(url: str) -> Iterator[Connection]:
    """A connection to look at the tables with."""
    connection = connect(url, "test")
    yield connection
    connection.close()
