"""Who a login names, and what a scope names: ids from ids or names, and hashes to verify."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
from sqlalchemy import Engine, text


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A user that a login names. ``password_hash`` None: it has no password."""

    user_id: str
    domain_id: str
    password_hash: str | None
    default_project_id: str | None
    options: dict[str, Any]


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """An application credential that a login names; ``expires_at`` in microseconds."""

    credential_id: str
    user_id: str
    domain_id: str
    project_id: str
    secret_hash: str
    expires_at: int | None


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """Something by its id, or by its name within a domain, which has an id or a name."""

    id: str | None = None
    name: str | None = None
    domain_id: str | None = None
    domain_name: str | None = None


IN_DOMAIN = """
{table} x JOIN identity_domains d ON d.id = x.domain_id
WHERE NOT x.deleted AND NOT d.deleted
  AND (x.id = :id OR CAST(:id AS text) IS NULL AND x.name = :name
       AND (d.id = :domain_id OR d.name = :domain_name))
"""

ACCOUNT = text(
    "SELECT x.id, x.domain_id, x.password_hash, x.default_project_id, x.document FROM"
    + IN_DOMAIN.format(table="identity_users")
)
PROJECT = text("SELECT x.id FROM" + IN_DOMAIN.format(table="identity_projects"))
DOMAIN = text(
    "SELECT id FROM identity_domains WHERE NOT deleted AND (id = :id OR name = :name)"
    " ORDER BY id = :id DESC"
)
SECRET = text(
    """
SELECT c.id, c.user_id, u.domain_id, c.project_id, c.secret_hash, c.expires_at
FROM identity_application_credentials c JOIN identity_users u ON u.id = c.user_id
WHERE NOT c.deleted AND NOT u.deleted
  AND (c.id = :id OR CAST(:id AS text) IS NULL AND c.user_id = :user_id AND c.name = :name)
"""
)


def account(engine: Engine, named: Named) -> Account | None:
    """The user."""
    with engine.connect() as connection:
        row = connection.execute(ACCOUNT, msgspec.to_builtins(named)).first()
    if row is None:
        return None
    return Account(
        user_id=row[0],
        domain_id=row[1],
        password_hash=row[2],
        default_project_id=row[3],
        options=orjson.loads(row[4])["options"],
    )


def project_id(engine: Engine, named: Named) -> str | None:
    """The project's id."""
    with engine.connect() as connection:
        found: str | None = connection.execute(PROJECT, msgspec.to_builtins(named)).scalar()
    return found


def domain_id(engine: Engine, id: str | None, name: str | None) -> str | None:
    """The domain's id."""
    with engine.connect() as connection:
        found: str | None = connection.execute(DOMAIN, {"id": id, "name": name}).scalar()
    return found


def secret(
    engine: Engine, id: str | None, name: str | None = None, user_id: str | None = None
) -> Secret | None:
    """The application credential."""
    with engine.connect() as connection:
        row = connection.execute(SECRET, {"id": id, "name": name, "user_id": user_id}).first()
    if row is None:
        return None
    return Secret(
        credential_id=row[0],
        user_id=row[1],
        domain_id=row[2],
        project_id=row[3],
        secret_hash=row[4],
        expires_at=row[5],
    )
