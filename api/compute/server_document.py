"""Single parts of a server's body, for the routes beneath it."""

from __future__ import annotations

from typing import Any

import orjson

from projections.compute.server_queries import ServerRow


def metadata_of(server: ServerRow) -> dict[str, str]:
    """The metadata."""
    return dict(_document(server)["metadata"])


def tags_of(server: ServerRow) -> list[str]:
    """The tags."""
    return list(_document(server)["tags"])


def addresses_of(server: ServerRow) -> dict[str, list[dict[str, Any]]]:
    """The addresses by network label."""
    return dict(_document(server)["addresses"])


def _document(server: ServerRow) -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(server.document)
    return document
