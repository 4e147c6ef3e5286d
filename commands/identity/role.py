"""Create, change, imply and delete roles. Partition key: ``default``."""

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
    forbidden,
    immutable,
    name_taken,
    not_found,
    revocations,
)
from commands.lookup import lookup
from events.identity.role import (
    Role,
    RoleCreated,
    RoleDeleted,
    RoleDescribed,
    RoleImplied,
    RoleNoLongerImplied,
    RoleRenamed,
)
from events.identity.terms import Description, Extra, Name, RoleId
from events.message import Command, Event

NEVER_IMPLIED = "admin"
"""Keystone's ``prohibited_implied_role``: nobody becomes admin by way of another role."""


class CreateRole(Command, frozen=True, kw_only=True):
    """Make a role."""

    role_id: RoleId
    role_name: Name
    domain_id: Annotated[str | None, "Domain that the role is private to; null: global."] = None
    description: Description = None
    immutable: Annotated[bool, "Whether changes other than lifting this are refused."] = False
    extra: Extra = {}


class ChangeRole(Command, frozen=True, kw_only=True):
    """Change what is given of a role."""

    role_id: RoleId
    role_name: NewName = None
    description: NewText = None
    immutable: NewFlag = None
    extra: NewMap = None


class DeleteRole(Command, frozen=True, kw_only=True):
    """Delete a role; no one has it any more."""

    role_id: RoleId


class ImplyRole(Command, frozen=True, kw_only=True):
    """Let one role come with another."""

    role_id: RoleId
    implied_role_id: Annotated[str, "Id of the role that comes with the other."]


class StopImplyingRole(Command, frozen=True, kw_only=True):
    """Let one role come with another no more."""

    role_id: RoleId
    implied_role_id: Annotated[str, "Id of the role that came with the other."]


@decides_on_view(CreateRole)
def create(view: View, command: CreateRole, at: int) -> Decision:
    """Refused when the name is taken among global roles (or those of its domain)."""
    if view.get("role", command.role_id):
        return conflict("role", f"Duplicate ID, {command.role_id}")
    if name_taken(view, "role", command.role_name, command.domain_id):
        return _same_name(command.role_name)
    return accept(
        RoleCreated(
            role_id=command.role_id,
            role_name=command.role_name,
            domain_id=command.domain_id,
            description=command.description,
            immutable=command.immutable,
            extra=command.extra,
            at=at,
        )
    )


@decides_on_view(ChangeRole)
def change(view: View, command: ChangeRole, at: int) -> Decision:
    """Only what differs happens. Refused: unknown, immutable, the new name is taken."""
    role: Role | None = view.get("role", command.role_id)
    if role is None:
        return not_found("role", command.role_id)
    if role.immutable and command.immutable is not False:
        return immutable("role", command.role_id)
    name = chosen(command.role_name, role.name)
    if name != role.name and name_taken(view, "role", name, role.domain_id):
        return _same_name(name)
    return accept(*_changes(role, command, at))


def _changes(role: Role, command: ChangeRole, at: int) -> Iterator[Event]:
    id = role.role_id
    if (name := chosen(command.role_name, role.name)) != role.name:
        yield RoleRenamed(role_id=id, role_name=name, at=at)
    described = (
        chosen(command.description, role.description),
        chosen(command.immutable, role.immutable),
        chosen(command.extra, role.extra),
    )
    if described != (role.description, role.immutable, role.extra):
        description, protected, extra = described
        yield RoleDescribed(
            role_id=id, description=description, immutable=protected, extra=extra, at=at
        )


@decides_on_view(DeleteRole)
def delete(view: View, command: DeleteRole, at: int) -> Decision:
    """Implications and this partition's grants of it end too; those elsewhere give nothing."""
    id = command.role_id
    role: Role | None = view.get("role", id)
    if role is None:
        return not_found("role", id)
    if role.immutable:
        return immutable("role", id)
    implications = [
        RoleNoLongerImplied(role_id=prior_id, implied_role_id=id, at=at)
        for prior_id in _implying(view, id)
    ]
    return accept(*revocations(view, at, "role", id), *implications, RoleDeleted(role_id=id, at=at))


@decides_on_view(ImplyRole)
def imply(view: View, command: ImplyRole, at: int) -> Decision:
    """Refused: unknown, the implied one is ``admin``, or it would imply itself in a circle."""
    prior: Role | None = view.get("role", command.role_id)
    implied: Role | None = view.get("role", command.implied_role_id)
    if prior is None:
        return not_found("role", command.role_id)
    if implied is None:
        return not_found("role", command.implied_role_id)
    if implied.role_id in prior.implies:
        return accept()
    if implied.name == NEVER_IMPLIED:
        return forbidden(f"The role {implied.role_id} ({implied.name}) cannot be an implied role.")
    if prior.role_id in implied_by(view, implied.role_id):
        return forbidden(f"Role {prior.role_id} would imply itself.")
    return accept(
        RoleImplied(role_id=command.role_id, implied_role_id=command.implied_role_id, at=at)
    )


@decides_on_view(StopImplyingRole)
def stop_implying(view: View, command: StopImplyingRole, at: int) -> Decision:
    """Refused when there is no such implication."""
    prior: Role | None = view.get("role", command.role_id)
    if prior is None or command.implied_role_id not in prior.implies:
        return not_found(
            "implied role", f"{command.role_id} does not imply {command.implied_role_id}"
        )
    return accept(
        RoleNoLongerImplied(role_id=command.role_id, implied_role_id=command.implied_role_id, at=at)
    )


_implying = lookup("role.by_implied", "role", lambda role: role.implies)


def implied_by(view: View, role_id: str) -> set[str]:
    """The role and all that come with it, at any remove."""
    reached: set[str] = set()
    waiting = [role_id]
    while waiting:
        id = waiting.pop()
        role: Role | None = view.get("role", id)
        if role is not None and id not in reached:
            reached.add(id)
            waiting.extend(role.implies)
    return reached


def _same_name(name: str) -> Decision:
    return conflict("role", f"Duplicate entry found with name {name}")
