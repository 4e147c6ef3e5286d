"""Application credentials as rows, with the hash that a secret is verified against."""

from __future__ import annotations

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Index, Text

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
