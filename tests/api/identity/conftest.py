from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.parts import cloud as parts

if TYPE_CHECKING:
    from tests.parts.postgres import PostgresServer


@pytest.fixture
def cloud(database: PostgresServer, tmp_path: Path) -> Iterator[parts.Cloud]:
    with parts.cloud(database.url, tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def cloud_once(
    database: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[parts.Cloud]:
    """For tests that change nothing."""
    with parts.cloud(database.url, tmp_path_factory.mktemp("cloud")) as running:
        yield running
