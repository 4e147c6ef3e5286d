"""Revoke a token; forget it when it has ended by itself. Partition key: the user's domain."""

from __future__ import annotations

from typing import Annotated

from commands.decision import Decision, accept, decides
from events.identity.token_revocation import (
    AuditId,
    ForgetTokenRevocation,
    TokenRevocation,
    TokenRevocationExpired,
    TokenRevoked,
)
from events.message import MOMENT, Command, UserId


class RevokeToken(Command, frozen=True, kw_only=True):
    """Make a token invalid before its time."""

    audit_id: AuditId
    user_id: UserId
    expires_at: Annotated[int, MOMENT, "When the token ends anyway, grace included (microseconds)."]


@decides(RevokeToken, aggregate="token_revocation", key="audit_id")
def revoke(revocation: TokenRevocation | None, command: RevokeToken, at: int) -> Decision:
    """Revoked already: nothing changes."""
    if revocation is not None:
        return accept()
    return accept(
        TokenRevoked(
            audit_id=command.audit_id,
            user_id=command.user_id,
            expires_at=command.expires_at,
            at=at,
        )
    )


@decides(ForgetTokenRevocation, aggregate="token_revocation", key="audit_id")
def forget(revocation: TokenRevocation | None, command: ForgetTokenRevocation, at: int) -> Decision:
    """Only when it has ended: a deadline that comes early or twice changes nothing."""
    if revocation is None or at < revocation.expires_at:
        return accept()
    return accept(TokenRevocationExpired(audit_id=command.audit_id, at=at))
