"""Users. Partition key: the user's domain. Of a password only its Argon2id hash is known here."""

from __future__ import annotations

from typing import Annotated, Any, assert_never

import msgspec

from events.aggregate import Aggregate, begun_by, register
from events.identity.terms import Description, DomainId, Extra, Name, PasswordHash
from events.message import Event, UserId

DefaultProject = Annotated[str | None, "Project of tokens that name no scope; null: none."]
Options = Annotated[dict[str, str], "Keystone's user options: JSON text by name."]


class UserCreated(Event, frozen=True, kw_only=True):
    """A user exists from now on."""

    folds = (("user", "user_id"),)
    user_id: UserId
    domain_id: DomainId
    user_name: Name
    password_hash: Annotated[
        str | None, "Argon2id hash in PHC string form; null: cannot log in by password."
    ] = None
    description: Description = None
    enabled: Annotated[bool, "Whether the user may authenticate."] = True
    default_project_id: DefaultProject = None
    options: Options = {}
    extra: Extra = {}


class UserRenamed(Event, frozen=True, kw_only=True):
    """A user has another name."""

    folds = (("user", "user_id"),)
    user_id: UserId
    user_name: Name


class UserDescribed(Event, frozen=True, kw_only=True):
    """A user's properties that no security rests on are others; all are given whole."""

    folds = (("user", "user_id"),)
    user_id: UserId
    description: Description = None
    default_project_id: DefaultProject = None
    options: Options = {}
    extra: Extra = {}


class UserPasswordChanged(Event, frozen=True, kw_only=True):
    """A user has another password; all the user's tokens are invalid from this moment."""

    folds = (("user", "user_id"),)
    user_id: UserId
    password_hash: PasswordHash


class UserPasswordRehashed(Event, frozen=True, kw_only=True):
    """The same password is hashed with newer parameters; tokens stay valid."""

    folds = (("user", "user_id"),)
    user_id: UserId
    password_hash: PasswordHash


class UserEnabled(Event, frozen=True, kw_only=True):
    """A user may authenticate again; tokens of before stay invalid."""

    folds = (("user", "user_id"),)
    user_id: UserId


class UserDisabled(Event, frozen=True, kw_only=True):
    """A user may not authenticate; all the user's tokens are invalid from this moment."""

    folds = (("user", "user_id"),)
    user_id: UserId


class UserDeleted(Event, frozen=True, kw_only=True):
    """A user is gone, and with it its grants and application credentials."""

    folds = (("user", "user_id"),)
    user_id: UserId


UserEvent = (
    UserCreated
    | UserRenamed
    | UserDescribed
    | UserPasswordChanged
    | UserPasswordRehashed
    | UserEnabled
    | UserDisabled
    | UserDeleted
)


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user. Tokens issued up to ``tokens_valid_from`` (microseconds) are invalid."""

    user_id: str
    domain_id: str
    name: str
    password_hash: str | None = None
    description: str | None = None
    enabled: bool = True
    default_project_id: str | None = None
    options: dict[str, str] = {}
    extra: dict[str, str] = {}
    tokens_valid_from: int = 0
    deleted: bool = False


@begun_by(UserCreated)
def evolve(user: User, event: UserEvent) -> User:
    """The user after ``event``."""
    change: dict[str, Any]
    match event:
        case UserCreated():
            return _created(event)
        case UserRenamed():
            change = {"name": event.user_name}
        case UserDescribed():
            change = {
                "description": event.description,
                "default_project_id": event.default_project_id,
                "options": event.options,
                "extra": event.extra,
            }
        case UserPasswordChanged():
            change = {"password_hash": event.password_hash, "tokens_valid_from": event.at}
        case UserPasswordRehashed():
            change = {"password_hash": event.password_hash}
        case UserEnabled():
            change = {"enabled": True}
        case UserDisabled():
            change = {"enabled": False, "tokens_valid_from": event.at}
        case UserDeleted():
            change = {"deleted": True}
        case _:
            assert_never(event)
    return msgspec.structs.replace(user, **change)


def _created(event: UserCreated) -> User:
    return User(
        user_id=event.user_id,
        domain_id=event.domain_id,
        name=event.user_name,
        password_hash=event.password_hash,
        description=event.description,
        enabled=event.enabled,
        default_project_id=event.default_project_id,
        options=event.options,
        extra=event.extra,
    )


register(Aggregate("user", "identity", User, evolve, gone=lambda user: user.deleted))
