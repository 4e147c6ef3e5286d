from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.compute.world import World, stocked
from tests.parts.local_bus import store
from tests.parts.postgres import PostgresServer


@pytest.fixture
def world(database: PostgresServer, tmp_path: Path) -> Iterator[World]:
    """A cloud with a host, an image and a flavor."""
    with store(database.url) as engine:
        yield stocked(World(engine, tmp_path))
