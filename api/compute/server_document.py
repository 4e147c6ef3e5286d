"""Single parts of a server's body, for the routes beneath it."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from events.compute.server import SecretsRef
from projections.compute.server_queries import ServerRow
from projections.compute.servers import SECRETS


def metadata_of(server: ServerRow) -> dict[str, str]:
    """The metadata."""
    return dict(whole(server)["metadata"])


def tags_of(server: ServerRow) -> list[str]:
    """The tags."""
    return list(whole(server)["tags"])


def addresses_of(server: ServerRow) -> dict[str, list[dict[str, Any]]]:
    """The addresses by network label."""
    return dict(whole(server)["addresses"])


def secrets_of(server: ServerRow) -> SecretsRef | None:
    """Where its user data and password are kept."""
    found = whole(server)[SECRETS]
    return None if found is None else msgspec.convert(found, SecretsRef)


def whole(server: ServerRow) -> dict[str, Any]:
    """All of it: the newest microversion, for an admin."""
    document: dict[str, Any] = orjson.loads(server.document)
    return document
