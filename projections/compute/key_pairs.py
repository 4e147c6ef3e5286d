"""Key pairs as rows; the id is ``<user id>/<name>``."""

from __future__ import annotations

import orjson
from sqlalchemy import BigInteger, Boolean, Column, Engine, Index, Text, select

from events.compute.key_pair import KeyPair, key_pair_id
from events.state_codec import decode_state
from projections.instants import microseconds
from projections.table import Row, project, projected_table

VERSION = 1

KEY_PAIRS = projected_table(
    "key_pairs",
    Column("user_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("document", Text, nullable=False),
    Index("key_pairs_of_user", "user_id", "name"),
)


def row(pair: KeyPair) -> Row:
    """The row of a key pair."""
    document = {
        "name": pair.name,
        "type": pair.type,
        "public_key": pair.public_key,
        "fingerprint": pair.fingerprint,
        "user_id": pair.user_id,
        "created_at": microseconds(pair.created_at),
    }
    return {
        "user_id": pair.user_id,
        "name": pair.name,
        "type": pair.type,
        "created_at": pair.created_at,
        "deleted": pair.deleted,
        "document": orjson.dumps(document).decode(),
    }


def find_key_pair(engine: Engine, user_id: str, name: str) -> KeyPair | None:
    """A user's key pair of that name."""
    statement = select(KEY_PAIRS.c.state).where(
        KEY_PAIRS.c.id == key_pair_id(user_id, name), ~KEY_PAIRS.c.deleted
    )
    with engine.connect() as connection:
        state = connection.execute(statement).scalar()
    return None if state is None else decode_state(state, KeyPair)


project("key_pair", KEY_PAIRS, row, VERSION)
