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
