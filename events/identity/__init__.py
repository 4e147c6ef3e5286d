"""What happens to identities: domains, projects, users, groups, roles, grants, credentials.

Everything that belongs to a domain lies in the partition of that domain's id; domains, roles
and grants on the system lie in the partition of ``default``.
"""

from __future__ import annotations

from events.identity import (
    application_credential,
    assignment,
    domain,
    group,
    role,
    tenant,
    token_revocation,
    user,
)

__all__ = [
    "application_credential",
    "assignment",
    "domain",
    "group",
    "role",
    "tenant",
    "token_revocation",
    "user",
]
