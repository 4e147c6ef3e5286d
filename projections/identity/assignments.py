"""Role assignments as rows, and what they come to: who has which role on what.

An assignment counts only while its role, its user or group, and its target are there: those of
another partition go without taking their assignments along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Boolean, Column, Engine, Index, Text, text

from events.identity.assignment import Assignment
from projections.table import Row, project, projected_table

VERSION = 1

ASSIGNMENTS = projected_table(
    "identity_assignments",
    Column("role_id", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("target_id", Text, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Index("identity_assignments_by_target", "target_id", "target"),
    Index("identity_assignments_by_actor", "actor_id", "actor"),
)


def row(assignment: Assignment) -> Row:
    """The row of an assignment."""
    return {
        "role_id": assignment.role_id,
        "actor": assignment.actor,
        "actor_id": assignment.actor_id,
        "target": assignment.target,
        "target_id": assignment.target_id,
        "deleted": assignment.deleted,
    }


project("assignment", ASSIGNMENTS, row, VERSION)


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A live assignment with the names of all that it names.

    ``actor_domain_*`` and ``target_domain_*`` are the domains of the user or group and of the
    project; empty for a target that is a domain or the system.
    """

    role_id: str
    role_name: str
    actor: str
    actor_id: str
    actor_name: str
    actor_domain_id: str
    actor_domain_name: str
    target: str
    target_id: str
    target_name: str
    target_domain_id: str
    target_domain_name: str
    members: Sequence[str]
    """The users of a group."""


HELD = """
SELECT a.role_id, r.name AS role_name, a.actor, a.actor_id,
       COALESCE(u.name, g.name) AS actor_name,
       ad.id AS actor_domain_id, ad.name AS actor_domain_name,
       a.target, a.target_id,
       COALESCE(p.name, d.name, '') AS target_name,
       COALESCE(pd.id, '') AS target_domain_id, COALESCE(pd.name, '') AS target_domain_name,
       COALESCE(g.members, ARRAY[]::text[]) AS members
FROM identity_assignments a
JOIN identity_roles r ON r.id = a.role_id AND NOT r.deleted
LEFT JOIN identity_users u ON a.actor = 'user' AND u.id = a.actor_id AND NOT u.deleted
LEFT JOIN identity_groups g ON a.actor = 'group' AND g.id = a.actor_id AND NOT g.deleted
JOIN identity_domains ad ON ad.id = COALESCE(u.domain_id, g.domain_id) AND NOT ad.deleted
LEFT JOIN identity_projects p ON a.target = 'project' AND p.id = a.target_id AND NOT p.deleted
LEFT JOIN identity_domains pd ON pd.id = p.domain_id AND NOT pd.deleted
LEFT JOIN identity_domains d ON a.target = 'domain' AND d.id = a.target_id AND NOT d.deleted
WHERE NOT a.deleted AND (a.target = 'system' OR pd.id IS NOT NULL OR d.id IS NOT NULL)
"""

FILTERS = {
    "role_id": "a.role_id = :role_id",
    "actor": "a.actor = :actor",
    "actor_id": "a.actor_id = :actor_id",
    "target": "a.target = :target",
    "target_id": "a.target_id = :target_id",
    "target_domain_id": "(pd.id = :target_domain_id OR d.id = :target_domain_id)",
    "user_id": "((a.actor = 'user' AND a.actor_id = :user_id)"
    " OR (a.actor = 'group' AND g.members @> ARRAY[:user_id]))",
}


def assignments(engine: Engine, filters: Mapping[str, str]) -> list[Held]:
    """Live assignments by ``FILTERS``; ``user_id`` finds those by way of a group as well."""
    statement = HELD + "".join(f" AND {FILTERS[name]}" for name in filters) + " ORDER BY a.id"
    with engine.connect() as connection:
        rows = connection.execute(text(statement), dict(filters)).mappings().all()
    return [Held(**row) for row in rows]


TARGETS = text(
    """
SELECT DISTINCT a.target_id FROM identity_assignments a
JOIN identity_roles r ON r.id = a.role_id AND NOT r.deleted
WHERE a.target = :target AND NOT a.deleted
  AND (a.actor = 'user' AND a.actor_id = :user_id OR a.actor = 'group' AND a.actor_id IN
       (SELECT g.id FROM identity_groups g WHERE g.members @> ARRAY[:user_id] AND NOT g.deleted))
"""
)


def targets_of(engine: Engine, target: str, user_id: str) -> list[str]:
    """Ids of the projects or domains that a user has a role on, by itself or by a group."""
    with engine.connect() as connection:
        asked = {"target": target, "user_id": user_id}
        return list(connection.execute(TARGETS, asked).scalars())
