"""Create, change and delete groups and their memberships. Partition key: the group's domain."""

from __future__ import annotations

from collections.abc import Iterator

from commands.decision import Decision, View, accept, decides, decides_on_view
from commands.identity.rules import (
    NewMap,
    NewName,
    NewText,
    chosen,
    conflict,
    name_taken,
    not_found,
    revocations,
)
from events.identity.group import (
    Group,
    GroupCreated,
    GroupDeleted,
    GroupDescribed,
    GroupRenamed,
    UserAddedToGroup,
    UserRemovedFromGroup,
)
from events.identity.terms import Description, DomainId, Extra, GroupId, Name
from events.message import Command, Event, UserId


class CreateGroup(Command, frozen=True, kw_only=True):
    """Make a group in a domain."""

    group_id: GroupId
    domain_id: DomainId
    group_name: Name
    description: Description = None
    extra: Extra = {}


class ChangeGroup(Command, frozen=True, kw_only=True):
    """Change what is given of a group."""

    group_id: GroupId
    group_name: NewName = None
    description: NewText = None
    extra: NewMap = None


class DeleteGroup(Command, frozen=True, kw_only=True):
    """Delete a group."""

    group_id: GroupId


class AddUserToGroup(Command, frozen=True, kw_only=True):
    """Make a user a member."""

    group_id: GroupId
    user_id: UserId


class RemoveUserFromGroup(Command, frozen=True, kw_only=True):
    """End a membership."""

    group_id: GroupId
    user_id: UserId


@decides_on_view(CreateGroup)
def create(view: View, command: CreateGroup, at: int) -> Decision:
    """Refused when the name is taken in the domain."""
    if view.get("group", command.group_id):
        return conflict("group", f"Duplicate ID, {command.group_id}")
    if name_taken(view, "group", command.group_name, command.domain_id):
        return _same_name(command.group_name)
    return accept(
        GroupCreated(
            group_id=command.group_id,
            domain_id=command.domain_id,
            group_name=command.group_name,
            description=command.description,
            extra=command.extra,
            at=at,
        )
    )


@decides_on_view(ChangeGroup)
def change(view: View, command: ChangeGroup, at: int) -> Decision:
    """Only what differs happens. Refused: unknown, the new name is taken."""
    group: Group | None = view.get("group", command.group_id)
    if group is None:
        return not_found("group", command.group_id)
    name = chosen(command.group_name, group.name)
    if name != group.name and name_taken(view, "group", name, group.domain_id):
        return _same_name(name)
    return accept(*_changes(group, command, at))


def _changes(group: Group, command: ChangeGroup, at: int) -> Iterator[Event]:
    id = group.group_id
    if (name := chosen(command.group_name, group.name)) != group.name:
        yield GroupRenamed(group_id=id, group_name=name, at=at)
    description = chosen(command.description, group.description)
    extra = chosen(command.extra, group.extra)
    if (description, extra) != (group.description, group.extra):
        yield GroupDescribed(group_id=id, description=description, extra=extra, at=at)


@decides_on_view(DeleteGroup)
def delete(view: View, command: DeleteGroup, at: int) -> Decision:
    """Its grants end with it."""
    if view.get("group", command.group_id) is None:
        return not_found("group", command.group_id)
    return accept(
        *revocations(view, at, "group", command.group_id),
        GroupDeleted(group_id=command.group_id, at=at),
    )


@decides(AddUserToGroup, aggregate="group", key="group_id")
def add(group: Group | None, command: AddUserToGroup, at: int) -> Decision:
    """A member already: nothing changes."""
    if group is None:
        return not_found("group", command.group_id)
    if command.user_id in group.members:
        return accept()
    return accept(UserAddedToGroup(group_id=command.group_id, user_id=command.user_id, at=at))


@decides(RemoveUserFromGroup, aggregate="group", key="group_id")
def remove(group: Group | None, command: RemoveUserFromGroup, at: int) -> Decision:
    """Refused when there is no such membership."""
    if group is None:
        return not_found("group", command.group_id)
    if command.user_id not in group.members:
        return not_found("user in group", f"{command.user_id} in {command.group_id}")
    return accept(UserRemovedFromGroup(group_id=command.group_id, user_id=command.user_id, at=at))


def _same_name(name: str) -> Decision:
    return conflict("group", f"Duplicate entry found with name {name}")
