"""A log of each test's own, and who writes into it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from events.log.postgres import PostgresLog
from events.topics import all_topics
from tests.parts.fresh_database import fresh_database
from tests.projections.recorder import Recorder

if TYPE_CHECKING:
    from tests.parts.postgres import PostgresServer


@pytest.fixture
def url(database: PostgresServer) -> Iterator[str]:
    with fresh_database(database.url) as made:
        yield made


@pytest.fixture
def log(url: str) -> Iterator[PostgresLog]:
    made = PostgresLog(url)
    made.create_topics(all_topics(2))
    yield made
    made.close()


@pytest.fixture
def recorder(log: PostgresLog) -> Recorder:
    return Recorder(log)
