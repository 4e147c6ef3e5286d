"""Revoked tokens as rows, by audit id."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column

from events.identity.token_revocation import TokenRevocation
from projections.table import Row, project, projected_table

VERSION = 1

REVOCATIONS = projected_table(
    "identity_token_revocations",
    Column("expires_at", BigInteger, nullable=False),
    Column("deleted", Boolean, nullable=False),
)


def row(revocation: TokenRevocation) -> Row:
    """The row of a revocation."""
    return {"expires_at": revocation.expires_at, "deleted": revocation.deleted}


project("token_revocation", REVOCATIONS, row, VERSION)
