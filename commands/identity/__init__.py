"""What can be asked of identity, and how it is decided.

Everything of a domain is decided in the partition of that domain's id; domains, roles and
grants on the system in the partition of ``default``. Uniqueness of names is decided here, on
what the partition holds. That an id of *another* partition exists (a role in a grant, the
user of another domain) is checked by the API beforehand; an assignment whose role, user or
project has gone meanwhile gives nothing, because what is not there is not found by id again.
"""

from __future__ import annotations

from commands.identity import (
    application_credential,
    assignment,
    bootstrap,
    domain,
    group,
    password,
    project,
    role,
    token,
    user,
)

__all__ = [
    "application_credential",
    "assignment",
    "bootstrap",
    "domain",
    "group",
    "password",
    "project",
    "role",
    "token",
    "user",
]
