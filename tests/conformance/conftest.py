from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.site import Site, site
from tests.parts.postgres import PostgresServer


@pytest.fixture(scope="session")
def cloud(database: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A stocked cloud for tests that change nothing in it."""
    with site(database.url, tmp_path_factory.mktemp("conformance")) as made:
        yield made


@pytest.fixture(scope="module")
def playground(
    database: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A stocked cloud for tests that change it as they like."""
    with site(database.url, tmp_path_factory.mktemp("playground")) as made:
        yield made
