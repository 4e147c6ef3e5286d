"""Placement's API over the fleet: the read half, for operators and other services.

Nobody writes here: providers, inventories and traits are what hosts report, allocations what the
scheduler decides. A write is refused with a sentence that says who does it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from api.placement import allocations, candidates, names, providers
from api.placement.errors import render_error
from api.placement.microversion import Microversions
from api.placement.operation import resources
from api.placement.versions import Versions
from api.services import Services

__all__ = ["middleware", "render_error", "routes"]

FILES = (allocations, candidates, names, providers)


def routes(services: Services) -> Iterable[tuple[str, Any]]:
    """Paths relative to ``/placement`` and their resources."""
    yield "", Versions()
    yield from resources(services, (row for file in FILES for row in file.OPERATIONS))


def middleware(services: Services) -> Iterable[Any]:
    """What runs for all of placement's paths."""
    return (Microversions(),)
