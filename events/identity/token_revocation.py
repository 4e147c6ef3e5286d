"""Revoked tokens, remembered until they would have ended anyway.

Partition key: the user's domain. A token is named by its audit id, which says nothing of the
token itself.
"""

from __future__ import annotations

from typing import Annotated, Any, assert_never

import msgspec

from events.aggregate import Aggregate, begun_by, register
from events.message import MOMENT, Command, Event, UserId

AuditId = Annotated[str, "Audit id of the token: 22 characters, URL-safe base64."]


class TokenRevoked(Event, frozen=True, kw_only=True):
    """A token is invalid from now on."""

    folds = (("token_revocation", "audit_id"),)
    audit_id: AuditId
    user_id: UserId
    expires_at: Annotated[int, MOMENT, "When the token ends anyway, grace included (microseconds)."]


class TokenRevocationExpired(Event, frozen=True, kw_only=True):
    """The revoked token has ended by itself; the revocation need not be remembered."""

    folds = (("token_revocation", "audit_id"),)
    audit_id: AuditId


class ForgetTokenRevocation(Command, frozen=True, kw_only=True):
    """Forget the revocation of a token that has ended."""

    audit_id: AuditId


TokenRevocationEvent = TokenRevoked | TokenRevocationExpired


class TokenRevocation(msgspec.Struct, frozen=True, kw_only=True):
    """A revocation; ``deleted`` once it need not be remembered."""

    audit_id: str
    user_id: str
    expires_at: int
    deleted: bool = False


@begun_by(TokenRevoked)
def evolve(revocation: TokenRevocation, event: TokenRevocationEvent) -> TokenRevocation:
    """The revocation after ``event``."""
    change: dict[str, Any]
    match event:
        case TokenRevoked():
            return TokenRevocation(
                audit_id=event.audit_id, user_id=event.user_id, expires_at=event.expires_at
            )
        case TokenRevocationExpired():
            change = {"deleted": True}
        case _:
            assert_never(event)
    return msgspec.structs.replace(revocation, **change)


register(
    Aggregate(
        "token_revocation",
        "identity",
        TokenRevocation,
        evolve,
        gone=lambda revocation: revocation.deleted,
        deadline=lambda revocation: revocation.expires_at,
        overdue=lambda revocation: ForgetTokenRevocation(audit_id=revocation.audit_id),
    )
)
