"""Lists of a user's key pairs, by name, a page at a time."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Engine, select

from projections.compute.key_pairs import KEY_PAIRS

K = KEY_PAIRS.c


class UnknownMarker(LookupError):
    """The user has no key pair of the marker's name."""


def list_key_pairs(
    engine: Engine, user_id: str, marker: str | None = None, limit: int | None = None
) -> list[dict[str, Any]]:
    """Documents (``name``, ``type``, ``public_key``, ``fingerprint``, ``user_id``,
    ``created_at``) of a user's key pairs, those after ``marker``. Raises ``UnknownMarker``."""
    owned = (K.user_id == user_id, ~K.deleted)
    statement = select(K.document).where(*owned).order_by(K.name).limit(limit)
    with engine.connect() as connection:
        if marker is not None:
            known = select(K.name).where(*owned, K.name == marker)
            if connection.execute(known).first() is None:
                raise UnknownMarker(marker)
            statement = statement.where(K.name > marker)
        return [orjson.loads(document) for document in connection.execute(statement).scalars()]
