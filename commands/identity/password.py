"""Change the own password; renew a hash. Partition key: the user's domain.

The API has verified the old password against the hash that the command names. When that is not
the user's hash any more, someone was faster, and the old password is wrong by now.
"""

from __future__ import annotations

from typing import Annotated

from commands.decision import Decision, accept, decides, refuse
from commands.identity.rules import not_found
from events.identity.terms import PasswordHash
from events.identity.user import User, UserPasswordChanged, UserPasswordRehashed
from events.message import Command, UserId

Verified = Annotated[str, "The hash that the old password was verified against."]


class ChangePassword(Command, frozen=True, kw_only=True):
    """Set another password; all tokens of the user end."""

    user_id: UserId
    verified_hash: Verified
    password_hash: PasswordHash


class RehashPassword(Command, frozen=True, kw_only=True):
    """Keep the same password by a hash with newer parameters."""

    user_id: UserId
    verified_hash: Verified
    password_hash: PasswordHash


@decides(ChangePassword, aggregate="user", key="user_id")
def change(user: User | None, command: ChangePassword, at: int) -> Decision:
    """Refused: unknown user, or the password has been changed meanwhile."""
    if user is None:
        return not_found("user", command.user_id)
    if user.password_hash != command.verified_hash:
        return refuse(401, "Unauthorized", "The request you have made requires authentication.")
    return accept(
        UserPasswordChanged(user_id=command.user_id, password_hash=command.password_hash, at=at)
    )


@decides(RehashPassword, aggregate="user", key="user_id")
def rehash(user: User | None, command: RehashPassword, at: int) -> Decision:
    """Nothing happens when the hash has been replaced meanwhile."""
    if user is None or user.password_hash != command.verified_hash:
        return accept()
    return accept(
        UserPasswordRehashed(user_id=command.user_id, password_hash=command.password_hash, at=at)
    )
