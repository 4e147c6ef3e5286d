"""The compute API (Nova's, v2.1 with microversions 2.1 to 2.104).

``routes.py`` lists the resource files; ``operation.py`` says what a row of theirs is.
"""

from __future__ import annotations

from collections.abc import Sequence

from api.compute.faults import render_error
from api.compute.microversion import Microversions
from api.compute.routes import routes
from api.services import Services

__all__ = ["middleware", "render_error", "routes"]


def middleware(services: Services) -> Sequence[Microversions]:
    """What stands before every request to ``/compute``."""
    return (Microversions(services.settings.public_url),)
