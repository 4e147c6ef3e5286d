"""What a token says: who, on what, how proved, from when to when.

Roles and names are not in it: they are looked up, so that a token never knows more than what
holds. Packed as MessagePack; ids of 32 hex digits take 16 bytes.
"""

from __future__ import annotations

import base64
import secrets
from typing import Any

import msgspec

from api.tokens.keys import BadToken, TokenKeys
from projections.identity.standing import Scope

METHODS = ("password", "token", "application_credential")
"""By their number in tokens; append only."""

KINDS = ("", "project", "domain", "system")
"""Kinds of scope by their number in tokens; append only."""

FORM = 1
"""The first element of a token's content; another number is another form."""


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """A token's content. Times are microseconds since 1970."""

    user_id: str
    scope: Scope
    methods: tuple[str, ...]
    issued_at: int
    expires_at: int
    audit_ids: tuple[str, ...]
    """The token's own; after it that of the token it was first made from."""
    credential_id: str = ""


def new_audit_id() -> str:
    """22 characters, URL-safe."""
    return secrets.token_urlsafe(16)


def seal(keys: TokenKeys, claims: Claims) -> str:
    """The token that says so."""
    return keys.seal(
        msgspec.msgpack.encode(
            (
                FORM,
                _short(claims.user_id),
                KINDS.index(claims.scope.kind),
                _short(claims.scope.id),
                [METHODS.index(method) for method in claims.methods],
                claims.issued_at,
                claims.expires_at,
                [base64.urlsafe_b64decode(id + "==") for id in claims.audit_ids],
                _short(claims.credential_id),
            )
        )
    )


def unseal(keys: TokenKeys, token: str) -> Claims:
    """What a token says. Raises ``BadToken``; whether it still holds is not asked here."""
    content = msgspec.msgpack.decode(keys.unseal(token))
    if not isinstance(content, list) or not content or content[0] != FORM:
        raise BadToken("the token has a form that is not known here")
    _, user_id, kind, scope_id, methods, issued_at, expires_at, audit_ids, credential_id = content
    return Claims(
        user_id=_long(user_id),
        scope=Scope(KINDS[kind], _long(scope_id)),
        methods=tuple(METHODS[method] for method in methods),
        issued_at=issued_at,
        expires_at=expires_at,
        audit_ids=tuple(base64.urlsafe_b64encode(id).decode().rstrip("=") for id in audit_ids),
        credential_id=_long(credential_id),
    )


def _short(id: str) -> str | bytes:
    try:
        packed = bytes.fromhex(id)
    except ValueError:
        return id
    return packed if len(packed) == 16 and packed.hex() == id else id


def _long(id: Any) -> str:
    return id.hex() if isinstance(id, bytes) else str(id)
