"""Application credentials as rows, with the hash that a secret is verified against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Engine, Index, Text, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from events.identity.application_credential import ApplicationCredential
from projections.identity.documents import packed
from projections.instants import microseconds
from projections.table import Row, project, projected_table

VERSION = 1

CREDENTIALS = projected_table(
    "identity_application_credentials",
    Column("user_id", Text, nullable=False),
    Column("project_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("secret_hash", Text, nullable=False),
    Column("role_ids", ARRAY(Text), nullable=False),
    Column("unrestricted", Boolean, nullable=False),
    Column("expires_at", BigInteger),
    Column("deleted", Boolean, nullable=False),
    Column("document", Text, nullable=False),
    Index("identity_application_credentials_of_user", "user_id"),
)


def row(credential: ApplicationCredential) -> Row:
    """The row of a credential. Its document has no ``roles`` (their names can change)."""
    expires_at = credential.expires_at
    document = {
        "id": credential.credential_id,
        "name": credential.name,
        "description": credential.description,
        "project_id": credential.project_id,
        "user_id": credential.user_id,
        "unrestricted": credential.unrestricted,
        "expires_at": None if expires_at is None else microseconds(expires_at),
        "system": None,
    }
    return {
        "user_id": credential.user_id,
        "project_id": credential.project_id,
        "name": credential.name,
        "secret_hash": credential.secret_hash,
        "role_ids": credential.role_ids,
        "unrestricted": credential.unrestricted,
        "expires_at": expires_at,
        "deleted": credential.deleted,
        "document": packed(document),
    }


project("application_credential", CREDENTIALS, row, VERSION)


def credentials_on(engine: Engine, user_id: str, project_id: str) -> list[str]:
    """Ids of a user's live credentials on a project."""
    statement = select(CREDENTIALS.c.id).where(
        CREDENTIALS.c.user_id == user_id,
        CREDENTIALS.c.project_id == project_id,
        ~CREDENTIALS.c.deleted,
    )
    with engine.connect() as connection:
        return list(connection.execute(statement).scalars())


ROLES_OF = text(
    """
SELECT c.id, r.id, r.name, r.domain_id FROM identity_application_credentials c
CROSS JOIN LATERAL unnest(c.role_ids) AS given JOIN identity_roles r ON r.id = given
WHERE c.id = ANY(:ids) AND NOT r.deleted ORDER BY r.name
"""
)


def credential_roles(engine: Engine, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """For each credential the roles that it was given, with their names of today."""
    found: dict[str, list[dict[str, Any]]] = {}
    with engine.connect() as connection:
        for id, role_id, name, domain_id in connection.execute(ROLES_OF, {"ids": list(ids)}):
            role = {"id": role_id, "name": name, "domain_id": domain_id}
            found.setdefault(id, []).append(role)
    return found
