"""Projects as rows. A deleted one stays as a row."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Index, Text
from sqlalchemy.dialects.postgresql import ARRAY

from events.identity.tenant import Tenant
from projections.identity.documents import packed, unpacked
from projections.table import Row, project, projected_table

VERSION = 1

PROJECTS = projected_table(
    "identity_projects",
    Column("domain_id", Text, nullable=False),
    Column("parent_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("tags", ARRAY(Text), nullable=False),
    Column("tokens_valid_from", BigInteger, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("document", Text, nullable=False),
    Index("identity_projects_by_name", "name"),
    Index("identity_projects_by_parent", "parent_id"),
)


def row(tenant: Tenant) -> Row:
    """The row of a project."""
    return {
        "domain_id": tenant.domain_id,
        "parent_id": tenant.parent_id,
        "name": tenant.name,
        "enabled": tenant.enabled,
        "tags": tenant.tags,
        "tokens_valid_from": tenant.tokens_valid_from,
        "deleted": tenant.deleted,
        "document": packed(document(tenant)),
    }


def document(tenant: Tenant) -> dict[str, Any]:
    """The project's body, no links."""
    return {
        **unpacked(tenant.extra),
        "id": tenant.project_id,
        "name": tenant.name,
        "domain_id": tenant.domain_id,
        "description": tenant.description or "",
        "enabled": tenant.enabled,
        "parent_id": tenant.parent_id,
        "is_domain": False,
        "tags": tenant.tags,
        "options": {"immutable": True} if tenant.immutable else {},
    }


project("tenant", PROJECTS, row, VERSION)
