"""Who has one share of a lane's threads: a user, or an address.

A user may have any number of tokens, and any number of texts is sent as one: so a token is unsealed
here, which needs no database (11 µs, and remembered). A request whose token is none of ours, has
expired or is not looked at counts for its address. That a token was revoked is not seen here: such
a request is answered 401 at once.

The worker's loop alone calls this.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable

from api.http.address import client_of
from api.tokens.claims import Claims
from api.tokens.keys import BadToken
from api.tokens.reading import TOKEN_LENGTH_MAX, now
from chronova.roles.arrivals import target_of

KNOWN_MAX = 4096
"""Tokens that are remembered, 0.5 KiB each."""

_TOKEN = re.compile(rb"\r\nx-auth-token:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)", re.IGNORECASE)
_NO_TOKEN = re.compile(
    rb"/+(?:identity/v3/(?:auth/tokens|users/[^/]+/password)|compute/v2\.1/host-(?:secrets|report-keys)"
    rb"|image/v2/direct/[^/]+)/*\Z"
)
"""Work that is done without a token: one that comes with it is not looked at, so any will do."""


def no_token(token: str) -> Claims:
    """Unseal nothing: every request counts for its address. Raises ``BadToken``."""
    raise BadToken("no keys are known here")


class Callers:
    """Tells callers apart. ``unseal``: what a token says; raises ``BadToken``."""

    def __init__(self, unseal: Callable[[str], Claims] = no_token) -> None:
        self._unseal = unseal
        self._known: OrderedDict[bytes, tuple[str, int]] = OrderedDict()
        """The user of a token, and when it expires, in microseconds since 1970."""

    def of(self, head: bytes, address: str) -> str:
        """Return the caller of a request, by its head and by the address it came from."""
        token = _TOKEN.search(head)
        if token is None or _NO_TOKEN.match(target_of(head)[1]):
            return client_of(address)
        user_id = self._user_of(token[1])
        return client_of(address) if user_id is None else f"user {user_id}"

    def _user_of(self, token: bytes) -> str | None:
        known = self._known.get(token)
        if known is None:
            known = self._look(token)
            if known is None:
                return None
            self._known[token] = known
            if len(self._known) > KNOWN_MAX:
                self._known.popitem(last=False)
        user_id, expires_at = known
        return user_id if expires_at > now() else None

    def _look(self, token: bytes) -> tuple[str, int] | None:
        if not token or len(token) > TOKEN_LENGTH_MAX:
            return None
        try:
            claims = self._unseal(token.decode("ascii"))
        except (BadToken, UnicodeDecodeError, OSError, RuntimeError):
            return None  # where the keys cannot be read, who verifies the token says so
        return claims.user_id, claims.expires_at
