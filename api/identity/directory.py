"""What the identity resources share: the means to read, to ask, and to name their own URLs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from uuid import uuid4

import falcon
from sqlalchemy import Table

from api.authentication import changes
from api.bus import Actor
from api.caller import Caller
from api.http.errors import accepted
from api.http.request_ids import request_id
from api.identity.answers import MOUNT
from api.identity.passwords import Passwords
from api.services import Services
from api.tokens.keys import TokenKeys
from api.tokens.reading import TokenReader
from events.message import Command
from projections.identity.listing import document
from projections.identity.users import USERS


class Directory:
    """One API application's identities."""

    def __init__(self, services: Services) -> None:
        self.settings = services.settings
        self.engine = services.engine
        self.keys = TokenKeys(services.settings.token_keys_path)
        self.reader = TokenReader(services.engine, self.keys)
        self.passwords = Passwords()
        self.url = f"{services.settings.public_url}{MOUNT}/v3"
        self._bus = services.bus

    def send(self, req: falcon.Request, command: Command, domain_id: str) -> None:
        """Ask for something to be done in a domain's partition. Raises as ``Bus.send``."""
        caller: Caller | None = getattr(req.context, "caller", None)
        actor = Actor(
            user_id=caller.user_id if caller else "",
            project_id=(caller.project_id or "") if caller else "",
            request_id=request_id(req),
            traceparent=req.get_header("traceparent") or "",
        )
        try:
            self._bus.send(command, domain_id, actor)
        finally:
            changes.advance()
        accepted(req)

    def get(self, table: Table, kind: str, id: str) -> dict[str, Any]:
        """A document. Raises 404."""
        found = document(self.engine, table, id)
        if found is None:
            raise not_found(kind, id)
        return found

    def find(self, table: Table, id: str | None) -> dict[str, Any] | None:
        """A document, or None."""
        return None if id is None else document(self.engine, table, id)

    def find_user(self, id: str | None) -> dict[str, Any] | None:
        """A user's document, or None."""
        return self.find(USERS, id)

    def get_user(self, id: str) -> dict[str, Any]:
        """A user's document. Raises 404."""
        return self.get(USERS, "user", id)

    def domain_for(self, caller: Caller, content: Mapping[str, Any]) -> str:
        """The domain of something new: the one asked for, or the token's."""
        asked: str | None = content.get("domain_id")
        return asked or caller.domain_id or caller.project_domain_id or caller.user_domain_id


class Resource:
    """A resource of one directory. Where GET is answered, HEAD is too (``routes``)."""

    public_methods: tuple[str, ...] = ()
    """Methods that need no token."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory


def not_found(kind: str, id: str) -> falcon.HTTPNotFound:
    """404 in Keystone's words."""
    return falcon.HTTPNotFound(description=f"Could not find {kind}: {id}.")


def caller_of(req: falcon.Request) -> Caller:
    """Who asks; the request has come past authentication."""
    context: Any = req.context
    return cast(Caller, context.caller)


def new_id() -> str:
    """32 hex digits, at random."""
    return uuid4().hex
