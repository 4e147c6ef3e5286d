"""Users as rows, with the hash that a login is verified against. A deleted one stays as a row."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Index, Text

from events.identity.user import User
from projections.identity.documents import packed, unpacked
from projections.table import Row, project, projected_table

VERSION = 1

USERS = projected_table(
    "identity_users",
    Column("domain_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("default_project_id", Text),
    Column("password_hash", Text),
    Column("tokens_valid_from", BigInteger, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("document", Text, nullable=False),
    Index("identity_users_by_name", "name"),
)


def row(user: User) -> Row:
    """The row of a user."""
    return {
        "domain_id": user.domain_id,
        "name": user.name,
        "enabled": user.enabled,
        "default_project_id": user.default_project_id,
        "password_hash": user.password_hash,
        "tokens_valid_from": user.tokens_valid_from,
        "deleted": user.deleted,
        "document": packed(document(user)),
    }


def document(user: User) -> dict[str, Any]:
    """The user's body, no links; what was never set is left out, as in Keystone."""
    body = {
        **unpacked(user.extra),
        "id": user.user_id,
        "name": user.name,
        "domain_id": user.domain_id,
        "enabled": user.enabled,
        "password_expires_at": None,
        "options": unpacked(user.options),
    }
    if user.default_project_id is not None:
        body["default_project_id"] = user.default_project_id
    if user.description is not None:
        body["description"] = user.description
    return body


project("user", USERS, row, VERSION)
