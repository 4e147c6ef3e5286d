"""Domains as rows. A deleted one stays as a row."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Index, Text

from events.identity.domain import Domain
from projections.identity.documents import packed, unpacked
from projections.table import Row, project, projected_table

VERSION = 1

DOMAINS = projected_table(
    "identity_domains",
    Column("name", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("tokens_valid_from", BigInteger, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("document", Text, nullable=False),
    Index("identity_domains_by_name", "name"),
)


def row(domain: Domain) -> Row:
    """The row of a domain."""
    return {
        "name": domain.name,
        "enabled": domain.enabled,
        "tokens_valid_from": domain.tokens_valid_from,
        "deleted": domain.deleted,
        "document": packed(document(domain)),
    }


def document(domain: Domain) -> dict[str, Any]:
    """The domain's body, no links."""
    return {
        **unpacked(domain.extra),
        "id": domain.domain_id,
        "name": domain.name,
        "description": domain.description or "",
        "enabled": domain.enabled,
        "tags": [],
        "options": {},
    }


project("domain", DOMAINS, row, VERSION)
