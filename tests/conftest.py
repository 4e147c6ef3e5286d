"""The real parts that tests share: each is started once, when the first test asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.parts.broker import Broker
    from tests.parts.postgres import PostgresServer


@pytest.fixture(scope="session")
def database() -> Iterator[PostgresServer]:
    """A Postgres server: ``url``, ``stop()``, ``start()``, ``kill()``."""
    from tests.parts.postgres import postgres_server

    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """A Kafka broker: ``bootstrap``, ``stop()``, ``start()``, ``kill()``."""
    from tests.parts.broker import kafka_broker

    with kafka_broker() as running:
        yield running
