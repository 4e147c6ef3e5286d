"""Groups of users. Partition key: the group's domain; its members may be of any domain."""

from __future__ import annotations

from typing import Any, assert_never

import immutables
import msgspec

from events.aggregate import Aggregate, begun_by, register
from events.identity.terms import Description, DomainId, Extra, GroupId, Name
from events.message import Event, UserId


class GroupCreated(Event, frozen=True, kw_only=True):
    """A group exists from now on."""

    folds = (("group", "group_id"),)
    group_id: GroupId
    domain_id: DomainId
    group_name: Name
    description: Description = None
    extra: Extra = {}


class GroupRenamed(Event, frozen=True, kw_only=True):
    """A group has another name."""

    folds = (("group", "group_id"),)
    group_id: GroupId
    group_name: Name


class GroupDescribed(Event, frozen=True, kw_only=True):
    """A group's description or free properties are others now; both are given whole."""

    folds = (("group", "group_id"),)
    group_id: GroupId
    description: Description = None
    extra: Extra = {}


class UserAddedToGroup(Event, frozen=True, kw_only=True):
    """A user is a member and has the group's grants."""

    folds = (("group", "group_id"),)
    group_id: GroupId
    user_id: UserId


class UserRemovedFromGroup(Event, frozen=True, kw_only=True):
    """A user is no member any more."""

    folds = (("group", "group_id"),)
    group_id: GroupId
    user_id: UserId


class GroupDeleted(Event, frozen=True, kw_only=True):
    """A group is gone, and with it its grants."""

    folds = (("group", "group_id"),)
    group_id: GroupId


GroupEvent = (
    GroupCreated
    | GroupRenamed
    | GroupDescribed
    | UserAddedToGroup
    | UserRemovedFromGroup
    | GroupDeleted
)


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A group; ``members``: when each user joined (microseconds), by user id."""

    group_id: str
    domain_id: str
    name: str
    description: str | None = None
    extra: dict[str, str] = {}
    members: immutables.Map[str, int] = immutables.Map()
    deleted: bool = False


@begun_by(GroupCreated)
def evolve(group: Group, event: GroupEvent) -> Group:
    """The group after ``event``."""
    change: dict[str, Any]
    match event:
        case GroupCreated():
            return Group(
                group_id=event.group_id,
                domain_id=event.domain_id,
                name=event.group_name,
                description=event.description,
                extra=event.extra,
            )
        case GroupRenamed():
            change = {"name": event.group_name}
        case GroupDescribed():
            change = {"description": event.description, "extra": event.extra}
        case UserAddedToGroup():
            change = {"members": group.members.set(event.user_id, event.at)}
        case UserRemovedFromGroup():
            change = {"members": without(group.members, event.user_id)}
        case GroupDeleted():
            change = {"deleted": True}
        case _:
            assert_never(event)
    return msgspec.structs.replace(group, **change)


def without(members: immutables.Map[str, int], user_id: str) -> immutables.Map[str, int]:
    """The members but for one, who need not be among them."""
    return members.delete(user_id) if user_id in members else members


register(Aggregate("group", "identity", Group, evolve, gone=lambda group: group.deleted))
