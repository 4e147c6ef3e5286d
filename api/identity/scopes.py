"""What a new token is for: the scope that is asked, or the one that follows from the proof."""

from __future__ import annotations

from typing import Any

import falcon
from sqlalchemy import Engine

from api.identity.answers import unauthorized
from api.identity.login import Login, named
from projections.identity.accounts import account, domain_id, project_id
from projections.identity.standing import Scope, Standing, standing


class Scopes:
    """Resolves scopes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def standing(self, login: Login, asked: Any) -> Standing:
        """How the user stands in ``auth.scope``. Raises 400, or 401 when it has no role there."""
        credential_id = login.parent.credential_id if login.parent else ""
        if login.credential is not None:
            credential_id = login.credential.credential_id
        wanted = self._scope(login, asked)
        found = standing(self._engine, login.user_id, wanted, credential_id=credential_id)
        if found is None:
            raise unauthorized()
        return found

    def _scope(self, login: Login, asked: Any) -> Scope:
        """What the token is to be for."""
        if login.credential is not None:
            own = Scope("project", login.credential.project_id)
            if asked is not None and self._named_scope(asked) != own:
                raise unauthorized()
            return own
        if asked is None or asked == {}:
            return self._default_scope(login)
        wanted = self._named_scope(asked)
        # Whoever holds a credential's token can make of it no token for anything else.
        if login.parent and login.parent.credential_id and wanted != login.parent.scope:
            raise unauthorized()
        return wanted

    def _named_scope(self, asked: Any) -> Scope:
        if asked == "unscoped" or (isinstance(asked, dict) and "unscoped" in asked):
            return Scope()
        if not isinstance(asked, dict):
            raise falcon.HTTPBadRequest(description="Invalid input for field 'auth/scope'.")
        found: str | None = None
        if "project" in asked:
            found = project_id(self._engine, named(asked["project"], "project"))
            kind = "project"
        elif "domain" in asked:
            domain = asked["domain"]
            if not domain.get("id") and not domain.get("name"):
                raise falcon.HTTPBadRequest(description="Expecting to find id or name in domain.")
            found, kind = domain_id(self._engine, domain.get("id"), domain.get("name")), "domain"
        elif "system" in asked:
            found, kind = "all", "system"
        else:
            raise unauthorized("This scope is not supported.")
        if found is None:
            raise unauthorized()
        return Scope(kind, found)

    def _default_scope(self, login: Login) -> Scope:
        """That of the credential behind the token; the usable default project; or none."""
        if login.parent is not None and login.parent.credential_id:
            return login.parent.scope
        user = account(self._engine, named({"id": login.user_id}, "user"))
        if user is None or user.default_project_id is None:
            return Scope()
        wanted = Scope("project", user.default_project_id)
        return Scope() if standing(self._engine, login.user_id, wanted) is None else wanted
