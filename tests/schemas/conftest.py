"""The message that evolves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.schemas.evolving import Evolution, evolution


@pytest.fixture
def evolving(tmp_path: Path) -> Iterator[Evolution]:
    """A catalogue of its own, in which one message goes from version to version."""
    with evolution(tmp_path) as made:
        yield made
