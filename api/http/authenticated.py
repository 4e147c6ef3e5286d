"""Who asks: the token becomes ``req.context.caller`` before any resource runs.

A resource names the methods that need no token in ``public_methods``; all others answer 401
without a valid one.
"""

from __future__ import annotations

from typing import Any, Protocol

import falcon

from api.authentication import Unauthenticated
from api.caller import Caller


class Authenticates(Protocol):
    """Whoever knows tokens: our own identity service, or another one."""

    def authenticate(self, token: str) -> Caller:
        """The caller. Raises ``Unauthenticated``."""


class Authenticated:
    """Middleware: no caller, no entry."""

    def __init__(self, authenticator: Authenticates, public_url: str) -> None:
        self._authenticator = authenticator
        self._challenge = f'Keystone uri="{public_url}/identity"'

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, resource: Any, params: dict[str, Any]
    ) -> None:
        """Set ``req.context.caller``. Raises 401."""
        if req.method in getattr(resource, "public_methods", ()):
            return
        token = req.get_header("x-auth-token")
        if not token:
            raise self._refusal()
        try:
            req.context.caller = self._authenticator.authenticate(token)
        except Unauthenticated:
            raise self._refusal() from None

    def _refusal(self) -> falcon.HTTPUnauthorized:
        return falcon.HTTPUnauthorized(
            description="The request you have made requires authentication.",
            headers={"WWW-Authenticate": self._challenge},
        )
