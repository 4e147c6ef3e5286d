"""Create, change and delete users. Partition key: the user's domain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from commands.decision import Decision, View, accept, decides_on_view
from commands.identity.rules import (
    NewFlag,
    NewMap,
    NewName,
    NewText,
    chosen,
    conflict,
    credential_deletions,
    name_taken,
    not_found,
    revocations,
)
from commands.lookup import lookup
from events.identity.group import UserRemovedFromGroup
from events.identity.terms import Description, DomainId, Extra, Name
from events.identity.user import (
    DefaultProject,
    Options,
    User,
    UserCreated,
    UserDeleted,
    UserDescribed,
    UserDisabled,
    UserEnabled,
    UserPasswordChanged,
    UserRenamed,
)
from events.message import Command, Event, UserId

NewPasswordHash = Annotated[
    str | None, "Argon2id hash of the new password (never the password); null: none or unchanged."
]


class CreateUser(Command, frozen=True, kw_only=True):
    """Make a user in a domain."""

    user_id: UserId
    domain_id: DomainId
    user_name: Name
    password_hash: NewPasswordHash = None
    description: Description = None
    enabled: Annotated[bool, "Whether the user may authenticate."] = True
    default_project_id: DefaultProject = None
    options: Options = {}
    extra: Extra = {}


class ChangeUser(Command, frozen=True, kw_only=True):
    """Change what is given of a user."""

    user_id: UserId
    user_name: NewName = None
    password_hash: NewPasswordHash = None
    description: NewText = None
    enabled: NewFlag = None
    default_project_id: NewText = None
    options: NewMap = None
    extra: NewMap = None


class DeleteUser(Command, frozen=True, kw_only=True):
    """Delete a user."""

    user_id: UserId


@decides_on_view(CreateUser)
def create(view: View, command: CreateUser, at: int) -> Decision:
    """Refused when the name is taken in the domain."""
    if view.get("user", command.user_id):
        return conflict("user", f"Duplicate ID, {command.user_id}")
    if name_taken(view, "user", command.user_name, command.domain_id):
        return _same_name(command.user_name)
    return accept(
        UserCreated(
            user_id=command.user_id,
            domain_id=command.domain_id,
            user_name=command.user_name,
            password_hash=command.password_hash,
            description=command.description,
            enabled=command.enabled,
            default_project_id=command.default_project_id,
            options=command.options,
            extra=command.extra,
            at=at,
        )
    )


@decides_on_view(ChangeUser)
def change(view: View, command: ChangeUser, at: int) -> Decision:
    """Only what differs happens. Who is disabled has no application credential any more, also
    when enabled again. Refused: unknown, the new name is taken."""
    user: User | None = view.get("user", command.user_id)
    if user is None:
        return not_found("user", command.user_id)
    name = chosen(command.user_name, user.name)
    if name != user.name and name_taken(view, "user", name, user.domain_id):
        return _same_name(name)
    return accept(*_changes(user, command, at), *_disabling(view, user, command, at))


def _changes(user: User, command: ChangeUser, at: int) -> Iterator[Event]:
    id = user.user_id
    if (name := chosen(command.user_name, user.name)) != user.name:
        yield UserRenamed(user_id=id, user_name=name, at=at)
    described = (
        chosen(command.description, user.description),
        chosen(command.default_project_id, user.default_project_id),
        chosen(command.options, user.options),
        chosen(command.extra, user.extra),
    )
    if described != (user.description, user.default_project_id, user.options, user.extra):
        description, default_project_id, options, extra = described
        yield UserDescribed(
            user_id=id,
            description=description,
            default_project_id=default_project_id,
            options=options,
            extra=extra,
            at=at,
        )
    if command.password_hash is not None:
        yield UserPasswordChanged(user_id=id, password_hash=command.password_hash, at=at)
    if (enabled := chosen(command.enabled, user.enabled)) != user.enabled:
        yield (UserEnabled if enabled else UserDisabled)(user_id=id, at=at)


def _disabling(view: View, user: User, command: ChangeUser, at: int) -> Iterator[Event]:
    if user.enabled and command.enabled is False:
        yield from credential_deletions(view, at, "user", user.user_id)


_groups_of = lookup("group.by_member", "group", lambda group: group.members)


@decides_on_view(DeleteUser)
def delete(view: View, command: DeleteUser, at: int) -> Decision:
    """Grants, memberships and application credentials end with the user."""
    id = command.user_id
    if view.get("user", id) is None:
        return not_found("user", id)
    memberships = [
        UserRemovedFromGroup(group_id=group_id, user_id=id, at=at)
        for group_id in _groups_of(view, id)
    ]
    return accept(
        *revocations(view, at, "user", id),
        *credential_deletions(view, at, "user", id),
        *memberships,
        UserDeleted(user_id=id, at=at),
    )


def _same_name(name: str) -> Decision:
    return conflict("user", f"Duplicate entry found with name {name}")
