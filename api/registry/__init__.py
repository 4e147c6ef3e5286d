"""The schema registry: what a stranger needs to decode a tap of the log.

``subjects.py`` says what is known and under which names, ``shelf.py`` adds what lies in the log,
``resources.py`` answers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from api.registry.errors import render_error
from api.registry.resources import ROUTES
from api.registry.shelf import Shelf
from api.services import Services
from events.message import MESSAGES
from schemas.catalog import catalog
from schemas.commit import import_messages

__all__ = ["render_error", "routes"]


def routes(services: Services) -> Iterable[tuple[str, Any]]:
    """Paths relative to ``/registry`` and their resources."""
    import_messages()
    shelf = Shelf(catalog(), MESSAGES)
    return [(path, made(shelf, services.settings.body_bytes_max)) for path, made in ROUTES]
