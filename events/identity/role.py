"""Roles and which of them imply which. Partition key: ``default``."""

from __future__ import annotations

from typing import Annotated, Any, assert_never

import msgspec

from events.aggregate import Aggregate, begun_by, register
from events.identity.terms import Description, Extra, Name, RoleId
from events.message import Event

Immutable = Annotated[bool, "Whether changes other than lifting this are refused."]
Implied = Annotated[str, "Id of the role that comes with the other."]


class RoleCreated(Event, frozen=True, kw_only=True):
    """A role exists from now on."""

    folds = (("role", "role_id"),)
    role_id: RoleId
    role_name: Name
    domain_id: Annotated[str | None, "Domain that the role is private to; null: global."] = None
    description: Description = None
    immutable: Immutable = False
    extra: Extra = {}


class RoleRenamed(Event, frozen=True, kw_only=True):
    """A role has another name."""

    folds = (("role", "role_id"),)
    role_id: RoleId
    role_name: Name


class RoleDescribed(Event, frozen=True, kw_only=True):
    """A role's description, protection or free properties are others; all given whole."""

    folds = (("role", "role_id"),)
    role_id: RoleId
    description: Description = None
    immutable: Immutable = False
    extra: Extra = {}


class RoleImplied(Event, frozen=True, kw_only=True):
    """Who has the one role has the other as well."""

    folds = (("role", "role_id"),)
    role_id: RoleId
    implied_role_id: Implied


class RoleNoLongerImplied(Event, frozen=True, kw_only=True):
    """The other role does not come with the one any more."""

    folds = (("role", "role_id"),)
    role_id: RoleId
    implied_role_id: Implied


class RoleDeleted(Event, frozen=True, kw_only=True):
    """A role is gone; no one has it any more."""

    folds = (("role", "role_id"),)
    role_id: RoleId


RoleEvent = (
    RoleCreated | RoleRenamed | RoleDescribed | RoleImplied | RoleNoLongerImplied | RoleDeleted
)


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """A role; ``implies``: ids of the roles that directly come with it."""

    role_id: str
    name: str
    domain_id: str | None = None
    description: str | None = None
    immutable: bool = False
    extra: dict[str, str] = {}
    implies: tuple[str, ...] = ()
    deleted: bool = False


@begun_by(RoleCreated)
def evolve(role: Role, event: RoleEvent) -> Role:
    """The role after ``event``."""
    change: dict[str, Any]
    match event:
        case RoleCreated():
            return Role(
                role_id=event.role_id,
                name=event.role_name,
                domain_id=event.domain_id,
                description=event.description,
                immutable=event.immutable,
                extra=event.extra,
            )
        case RoleRenamed():
            change = {"name": event.role_name}
        case RoleDescribed():
            change = {
                "description": event.description,
                "immutable": event.immutable,
                "extra": event.extra,
            }
        case RoleImplied():
            change = {"implies": (*_but(role, event.implied_role_id), event.implied_role_id)}
        case RoleNoLongerImplied():
            change = {"implies": _but(role, event.implied_role_id)}
        case RoleDeleted():
            change = {"deleted": True}
        case _:
            assert_never(event)
    return msgspec.structs.replace(role, **change)


def _but(role: Role, implied_role_id: str) -> tuple[str, ...]:
    return tuple(id for id in role.implies if id != implied_role_id)


register(Aggregate("role", "identity", Role, evolve, gone=lambda role: role.deleted))
