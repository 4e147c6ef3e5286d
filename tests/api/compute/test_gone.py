"""Removed interfaces answer 410, whatever the microversion."""

from __future__ import annotations

import pytest

from api.compute.gone import OPERATIONS
from api.compute.operation import Operation
from tests.api.compute.world import World, refused


@pytest.mark.parametrize("version", ["2.1", "2.104"])
@pytest.mark.parametrize("row", OPERATIONS, ids=lambda row: f"{row.method}{row.path}")
def test_gone(world: World, row: Operation, version: str) -> None:
    path = row.path.replace("{", "").replace("}", "")
    answer = world.request(row.method, path, version=version)
    refused(answer, 410, "computeFault", "no longer available")
