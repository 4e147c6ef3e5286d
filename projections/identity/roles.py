"""Roles as rows, with what they imply. A deleted one stays as a row."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Column, Engine, Index, Text, select
from sqlalchemy.dialects.postgresql import ARRAY

from events.identity.role import Role
from projections.identity.documents import packed, unpacked
from projections.table import Row, project, projected_table

VERSION = 1

ROLES = projected_table(
    "identity_roles",
    Column("domain_id", Text),
    Column("name", Text, nullable=False),
    Column("implies", ARRAY(Text), nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("document", Text, nullable=False),
    Index("identity_roles_by_name", "name"),
)


def row(role: Role) -> Row:
    """The row of a role."""
    return {
        "domain_id": role.domain_id,
        "name": role.name,
        "implies": list(role.implies),
        "deleted": role.deleted,
        "document": packed(document(role)),
    }


def document(role: Role) -> dict[str, Any]:
    """The role's body, no links."""
    return {
        **unpacked(role.extra),
        "id": role.role_id,
        "name": role.name,
        "domain_id": role.domain_id,
        "description": role.description,
        "options": {"immutable": True} if role.immutable else {},
    }


project("role", ROLES, row, VERSION)


def implications(engine: Engine) -> dict[str, list[str]]:
    """For each role the ids of those that it directly implies."""
    statement = select(ROLES.c.id, ROLES.c.implies).where(~ROLES.c.deleted).order_by(ROLES.c.name)
    with engine.connect() as connection:
        return {id: list(implied) for id, implied in connection.execute(statement)}
