"""Who makes a request, as far as any service needs to know."""

from __future__ import annotations

import msgspec


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """A valid token's user, scope and roles.

    Exactly one of ``project_id``, ``domain_id`` and ``system`` is set, or none for an
    unscoped token. Times are microseconds since 1970.
    """

    user_id: str
    user_name: str
    user_domain_id: str
    user_domain_name: str
    project_id: str | None = None
    project_name: str = ""
    project_domain_id: str = ""
    project_domain_name: str = ""
    domain_id: str | None = None
    domain_name: str = ""
    system: bool = False
    roles: frozenset[str] = frozenset()
    """Names, implied ones included."""
    role_ids: frozenset[str] = frozenset()
    application_credential_id: str | None = None
    unrestricted: bool = True
    """False with a restricted application credential: may make no credentials of its kind."""
    token_id_hash: str = ""
    """The first 16 hex digits of the token's SHA-256: to tell tokens apart, not to know them."""
    expires_at: int = 0

    @property
    def is_admin(self) -> bool:
        """Whether the role admin is among the roles, in whatever scope."""
        return "admin" in self.roles

    @property
    def is_service(self) -> bool:
        """Whether the role service is among the roles."""
        return "service" in self.roles

    @property
    def unscoped(self) -> bool:
        """Whether the token is for nothing in particular."""
        return self.project_id is None and self.domain_id is None and not self.system
