"""Whole sites for the tests of this folder: one for each log, and one with real guests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.parts.site import Site, site


@pytest.fixture(scope="package", params=["postgres", "kafka"], name="site")
def site_on_each_log(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site with one simulated host."""
    with site(request.param) as running:
        yield running
