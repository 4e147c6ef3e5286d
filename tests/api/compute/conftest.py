from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.compute.world import World, stocked
from tests.parts.local_bus import store
from tests.parts.postgres import PostgresServer


@pytest.fixture(scope="module")
def world(database: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A cloud with a host, an image and a flavor, shared by a file's tests; no quota in the way."""
    with store(database.url) as engine:
        yield stocked(World.new(engine, tmp_path_factory.mktemp("cloud")))
