"""What authentication asks: is this user there and enabled, and with which roles on what?

One place says when someone stands: user and domain enabled, the scope's project or domain too,
not deleted, and at least one role there. ``None`` means no, whatever the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, text


class Scope(msgspec.Struct, frozen=True):
    """What roles are asked on: kind ``project``, ``domain``, ``system`` (id ``all``), or ``""``."""

    kind: str = ""
    id: str = ""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A user as it may act. Tokens issued up to ``valid_from`` (microseconds) are not valid.

    ``scope_name`` is the project's or domain's; ``scope_domain_*`` the project's domain.
    """

    user_id: str
    user_name: str
    user_domain_id: str
    user_domain_name: str
    valid_from: int
    revoked: bool
    scope: Scope = Scope()
    scope_name: str = ""
    scope_domain_id: str = ""
    scope_domain_name: str = ""
    roles: tuple[tuple[str, str], ...] = ()
    """Id and name of each role, implied ones included."""
    credential: Credential | None = None


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """An application credential as a token carries it."""

    id: str
    name: str
    unrestricted: bool
    expires_at: int | None


USER = """
SELECT u.id AS user_id, u.name AS user_name, d.id AS user_domain_id, d.name AS user_domain_name,
       GREATEST(u.tokens_valid_from, d.tokens_valid_from) AS valid_from,
       EXISTS (SELECT FROM identity_token_revocations t WHERE t.id = :audit_id AND NOT t.deleted)
           AS revoked
FROM identity_users u JOIN identity_domains d ON d.id = u.domain_id
WHERE u.id = :user_id AND u.enabled AND d.enabled AND NOT u.deleted AND NOT d.deleted
"""

SCOPES = {
    "project": """
SELECT p.name AS scope_name, d.id AS scope_domain_id, d.name AS scope_domain_name,
       GREATEST(p.tokens_valid_from, d.tokens_valid_from) AS valid_from
FROM identity_projects p JOIN identity_domains d ON d.id = p.domain_id
WHERE p.id = :id AND p.enabled AND d.enabled AND NOT p.deleted AND NOT d.deleted
""",
    "domain": """
SELECT d.name AS scope_name, '' AS scope_domain_id, '' AS scope_domain_name,
       d.tokens_valid_from AS valid_from
FROM identity_domains d WHERE d.id = :id AND d.enabled AND NOT d.deleted
""",
    "system": "SELECT '' AS scope_name, '' AS scope_domain_id, '' AS scope_domain_name,"
    " 0::bigint AS valid_from WHERE :id = 'all'",
}

ASSIGNED = """
SELECT a.role_id FROM identity_assignments a
WHERE a.target = :kind AND a.target_id = :id AND NOT a.deleted
  AND (a.actor = 'user' AND a.actor_id = :user_id OR a.actor = 'group' AND a.actor_id IN
       (SELECT g.id FROM identity_groups g WHERE g.members @> ARRAY[:user_id] AND NOT g.deleted))
"""

ROLES = """
WITH RECURSIVE held(id) AS (
    {begin}
    UNION
    SELECT implied FROM held JOIN identity_roles r ON r.id = held.id AND NOT r.deleted
    CROSS JOIN LATERAL unnest(r.implies) AS implied
)
SELECT r.id, r.name FROM held JOIN identity_roles r ON r.id = held.id AND NOT r.deleted
WHERE r.domain_id IS NULL
ORDER BY r.name
"""
"""Global roles only: a domain's own role counts through what it implies, never by its name."""

EFFECTIVE = text(ROLES.format(begin=ASSIGNED))
IMPLIED = text(ROLES.format(begin="SELECT unnest(CAST(:role_ids AS text[]))"))

CREDENTIAL = text(
    """
SELECT id, name, unrestricted, expires_at, role_ids FROM identity_application_credentials
WHERE id = :id AND user_id = :user_id AND project_id = :project_id AND NOT deleted
"""
)


def standing(
    engine: Engine,
    user_id: str,
    scope: Scope = Scope(),  # noqa: B008 - immutable
    audit_id: str = "",
    credential_id: str = "",
) -> Standing | None:
    """How that user stands in that scope; ``audit_id``: of the token, to see if it is revoked."""
    with engine.connect() as connection:
        asked = {"user_id": user_id, "audit_id": audit_id}
        user = _one(connection, USER, asked)
        if user is None:
            return None
        if not scope.kind:
            return Standing(**user)
        target = _one(connection, SCOPES[scope.kind], {"id": scope.id})
        if target is None:
            return None
        roles = effective_roles(connection, user_id, scope)
        credential = None
        if credential_id:
            found = _credential(connection, credential_id, user_id, scope.id, roles)
            if found is None:
                return None
            credential, roles = found
    if not roles:
        return None
    user["valid_from"] = max(user["valid_from"], target.pop("valid_from"))
    return Standing(**user, **target, scope=scope, roles=tuple(roles), credential=credential)


def effective_roles(connection: Connection, user_id: str, scope: Scope) -> list[tuple[str, str]]:
    """Id and name of each role of a user on something, by groups and implications too."""
    asked = {"kind": scope.kind, "id": scope.id, "user_id": user_id}
    return [(id, name) for id, name in connection.execute(EFFECTIVE, asked)]


def implied_roles(engine: Engine, role_ids: Sequence[str]) -> list[tuple[str, str]]:
    """Id and name of these roles and all that come with them."""
    with engine.connect() as connection:
        return _implied(connection, role_ids)


def _implied(connection: Connection, role_ids: Sequence[str]) -> list[tuple[str, str]]:
    rows = connection.execute(IMPLIED, {"role_ids": list(role_ids)})
    return [(id, name) for id, name in rows]


def _credential(
    connection: Connection,
    id: str,
    user_id: str,
    project_id: str,
    held: Sequence[tuple[str, str]],
) -> tuple[Credential, list[tuple[str, str]]] | None:
    """The credential and the roles that it gives: its own, as far as the user has them."""
    asked = {"id": id, "user_id": user_id, "project_id": project_id}
    row = connection.execute(CREDENTIAL, asked).mappings().first()
    if row is None:
        return None
    offered = _implied(connection, row["role_ids"])
    made = Credential(
        id=id, name=row["name"], unrestricted=row["unrestricted"], expires_at=row["expires_at"]
    )
    return made, [role for role in held if role in offered]


def _one(connection: Connection, statement: str, asked: dict[str, str]) -> dict[str, Any] | None:
    row = connection.execute(text(statement), asked).mappings().first()
    return None if row is None else dict(row)
