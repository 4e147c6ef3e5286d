"""Groups as rows, with their members' ids. A deleted one stays as a row."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Column, Engine, Index, Text, select
from sqlalchemy.dialects.postgresql import ARRAY

from events.identity.group import Group
from projections.identity.documents import packed, unpacked
from projections.table import Row, project, projected_table

VERSION = 1

GROUPS = projected_table(
    "identity_groups",
    Column("domain_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("members", ARRAY(Text), nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("document", Text, nullable=False),
    Index("identity_groups_by_name", "name"),
    Index("identity_groups_by_member", "members", postgresql_using="gin"),
)


def row(group: Group) -> Row:
    """The row of a group."""
    return {
        "domain_id": group.domain_id,
        "name": group.name,
        "members": sorted(group.members),
        "deleted": group.deleted,
        "document": packed(document(group)),
    }


def document(group: Group) -> dict[str, Any]:
    """The group's body, no links."""
    return {
        **unpacked(group.extra),
        "id": group.group_id,
        "name": group.name,
        "domain_id": group.domain_id,
        "description": group.description or "",
    }


project("group", GROUPS, row, VERSION)


def members_of(engine: Engine, group_id: str) -> list[str]:
    """Ids of a group's users, those that have been deleted since included."""
    statement = select(GROUPS.c.members).where(GROUPS.c.id == group_id, ~GROUPS.c.deleted)
    with engine.connect() as connection:
        return list(connection.execute(statement).scalar() or ())
