"""What all answers of the Identity API have in common: the form of errors, two headers."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import falcon
import orjson

from api.services import Services

MOUNT = "/identity"
UNAUTHORIZED = "The request you have made requires authentication."


def render_error(status: int, code: str, detail: str) -> tuple[bytes, str]:
    """Keystone's error body; ``code`` (the field's name for it) has no place in it."""
    title = HTTPStatus(status).phrase
    body = {"error": {"code": status, "title": title, "message": detail or title}}
    return orjson.dumps(body), "application/json"


def unauthorized(detail: str = UNAUTHORIZED) -> falcon.HTTPUnauthorized:
    """401: who it was, or whether there is such a user, is not said."""
    return falcon.HTTPUnauthorized(description=detail)


def middleware(services: Services) -> Iterable[Any]:
    """The headers of every answer under ``/identity``."""
    return (IdentityHeaders(services.settings.public_url),)


class IdentityHeaders:
    """``Vary`` everywhere, ``WWW-Authenticate`` with each 401; no U+0000 in any URL."""

    def __init__(self, public_url: str) -> None:
        self._challenge = f'Keystone uri="{public_url}{MOUNT}/v3"'

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, resource: Any, params: dict[str, Any]
    ) -> None:
        """Raises 400 for a character that Postgres can hold in no text."""
        if _ours(req) and ("\x00" in req.path or "%00" in (req.query_string or "")):
            raise falcon.HTTPBadRequest(description="A URL cannot contain the character U+0000.")

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: Any, succeeded: bool
    ) -> None:
        """Add them."""
        if not _ours(req):
            return
        resp.append_header("Vary", "X-Auth-Token")
        if resp.status_code == 401:
            resp.set_header("WWW-Authenticate", self._challenge)


def _ours(req: falcon.Request) -> bool:
    return req.path == MOUNT or req.path.startswith(f"{MOUNT}/")
