"""What happens in each operation is what docs/flows.md shows; `make traces` writes it anew."""

from __future__ import annotations

import pytest

from tests.operations.traces import FLOWS, GOLDEN, OPERATIONS, page, traces
from tests.parts.site import Site


def golden() -> dict[str, str]:
    return {name: (GOLDEN / f"{name}.mmd").read_text() for name in OPERATIONS}


def test_the_document_shows_the_traces() -> None:
    assert FLOWS.read_text() == page(golden())


@pytest.mark.service
def test_operations_happen_as_they_are_documented(site: Site) -> None:
    assert traces(site) == golden()
