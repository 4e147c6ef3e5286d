"""Whether a token holds: sealed by us, not ended, not revoked, and its user still stands."""

from __future__ import annotations

import time

import msgspec
from sqlalchemy import Engine

from api.tokens.claims import Claims, unseal
from api.tokens.keys import BadToken, TokenKeys
from projections.identity.standing import Standing, standing

EXPIRED_WINDOW_S = 172800
"""How long after its end a token may still be shown to services that ask for it; Keystone's
``allow_expired_window``."""

TOKEN_LENGTH_MAX = 1024
"""Ours have up to 300 characters; longer ones are not looked at."""


class Session(msgspec.Struct, frozen=True):
    """A token that holds: what it says and what its user may do."""

    claims: Claims
    standing: Standing


class TokenReader:
    """Reads tokens, each time from the projections. Thread-safe."""

    def __init__(self, engine: Engine, keys: TokenKeys) -> None:
        self._engine = engine
        self._keys = keys

    def read(self, token: str, allow_expired: bool = False) -> Session:
        """The session. Raises ``BadToken``, whatever the reason."""
        if len(token) > TOKEN_LENGTH_MAX:
            raise BadToken("the token is too long to be one of ours")
        claims = unseal(self._keys, token)
        grace_s = EXPIRED_WINDOW_S if allow_expired else 0
        if claims.expires_at + grace_s * 1_000_000 <= now():
            raise BadToken("the token has expired")
        found = standing(
            self._engine, claims.user_id, claims.scope, claims.audit_ids[0], claims.credential_id
        )
        if found is None or found.revoked or claims.issued_at <= found.valid_from:
            raise BadToken("the token does not hold any more")
        return Session(claims, found)


def now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000
