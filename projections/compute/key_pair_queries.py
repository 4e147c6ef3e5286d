"""Lists of a user's key pairs, by name, a page at a time."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Engine, select

from projections.compute.key_pairs import KEY_PAIRS
from projections.pages import is_full, page_of

K = KEY_PAIRS.c


class UnknownMarker(LookupError):
    """The user has no key pair of the marker's name."""


def list_key_pairs(
    engine: Engine, user_id: str, limit: int, marker: str | None = None
) -> tuple[list[dict[str, Any]], bool]:
    """Documents (``name``, ``type``, ``public_key``, ``fingerprint``, ``user_id``,
    ``created_at``) of a user's key pairs, those after ``marker``, a page of them as ``page_of``
    says; and whether it is full, so that there may be more. Raises ``UnknownMarker``."""
    owned = (K.user_id == user_id, ~K.deleted)
    statement = select(K.document).where(*owned)
    with engine.connect() as connection:
        if marker is not None:
            known = select(K.name).where(*owned, K.name == marker)
            if connection.execute(known).first() is None:
                raise UnknownMarker(marker)
            statement = statement.where(K.name > marker)
        query = page_of(statement, [(K.name, False)], limit)
        found = connection.execute(query).scalars().all()
    return [orjson.loads(document) for document in found], is_full(found, limit)
