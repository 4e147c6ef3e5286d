"""A database and a log of each test's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from events.log.postgres import PostgresLog
from events.topics import all_topics
from projections.connection import Connection, connect
from tests.parts.fresh_database import fresh_database
from tests.projections.recorder import Recorder

if TYPE_CHECKING:
    from tests.parts.postgres import PostgresServer

PARTITIONS = 3


@pytest.fixture
def url(database: PostgresServer) -> Iterator[str]:
    """A fresh database, as a libpq connection string."""
    with fresh_database(database.url) as made:
        yield made


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
