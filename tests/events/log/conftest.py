"""A log to test, in each of its implementations: the fixture ``site``."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg2
import psycopg2.extensions
import pytest

from tests.events.log.site import KafkaSite, MemorySite, PostgresSite, Site
from tests.parts.postgres import PostgresServer

KAFKA = pytest.param(
    "kafka", marks=pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
)
"""kafka-python leaves refused sockets behind: see ``KafkaSite.close``."""


@pytest.fixture(params=["memory", "postgres", KAFKA])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A log of each kind, fresh by its names."""
    yield from _opened(request, request.param)


@pytest.fixture(params=["postgres", KAFKA])
def real_site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A log of each kind that runs in processes of its own."""
    yield from _opened(request, request.param)


@pytest.fixture
def postgres(database: PostgresServer) -> Iterator[PostgresSite]:
    """A log on Postgres."""
    site = PostgresSite(database)
    try:
        yield site
    finally:
        site.close()


@pytest.fixture
def sql(database: PostgresServer) -> Iterator[psycopg2.extensions.cursor]:
    """Postgres itself, beside the log; each statement is a transaction."""
    connection = psycopg2.connect(database.url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def _opened(request: pytest.FixtureRequest, kind: str) -> Iterator[Site]:
    made: Site
    if kind == "memory":
        made = MemorySite()
    elif kind == "postgres":
        made = PostgresSite(request.getfixturevalue("database"))
    else:
        made = KafkaSite(request.getfixturevalue("broker"))
    try:
        yield made
    finally:
        made.close()
