"""Grant and revoke roles. Partition key: the domain of the target; ``default`` for the system.

The target is of this partition and checked here. The role and a user or group of another
domain are not: see the package's docstring.
"""

from __future__ import annotations

from typing import Annotated

from commands.decision import Decision, View, accept, decides_on_view
from commands.identity.rules import credential_deletions_on, not_found
from events.identity.assignment import (
    ActorKind,
    RoleGranted,
    RoleRevoked,
    TargetKind,
    assignment_id,
)
from events.identity.terms import RoleId
from events.message import Command, Event

ActorOf = Annotated[ActorKind, "Who has it: a user, or a group for its members."]
ActorId = Annotated[str, "Id of the user or group."]
TargetOf = Annotated[TargetKind, "What it is on."]
TargetId = Annotated[str, "Id of the project or domain; 'all' for the system."]


class GrantRole(Command, frozen=True, kw_only=True):
    """Give someone a role on something."""

    role_id: RoleId
    actor: ActorOf
    actor_id: ActorId
    target: TargetOf
    target_id: TargetId


class RevokeRole(Command, frozen=True, kw_only=True):
    """Take someone's role on something."""

    role_id: RoleId
    actor: ActorOf
    actor_id: ActorId
    target: TargetOf
    target_id: TargetId


@decides_on_view(GrantRole)
def grant(view: View, command: GrantRole, at: int) -> Decision:
    """Granted already: nothing changes. Refused: the project is unknown."""
    if command.target == "project" and view.get("tenant", command.target_id) is None:
        return not_found("project", command.target_id)
    id = _id(command)
    if view.get("assignment", id) is not None:
        return accept()
    return accept(
        RoleGranted(
            assignment_id=id,
            role_id=command.role_id,
            actor=command.actor,
            actor_id=command.actor_id,
            target=command.target,
            target_id=command.target_id,
            at=at,
        )
    )


@decides_on_view(RevokeRole)
def revoke(view: View, command: RevokeRole, at: int) -> Decision:
    """A user's application credentials on the project end too, for good: those that are made in
    this partition; who asks ends the others before. Refused when there is no such assignment."""
    id = _id(command)
    if view.get("assignment", id) is None:
        return not_found(
            "role assignment",
            f"role {command.role_id} of {command.actor} {command.actor_id} "
            f"on {command.target} {command.target_id}",
        )
    ended: list[Event] = []
    if command.actor == "user" and command.target == "project":
        ended = list(credential_deletions_on(view, at, command.actor_id, command.target_id))
    return accept(RoleRevoked(assignment_id=id, at=at), *ended)


def _id(command: GrantRole | RevokeRole) -> str:
    return assignment_id(
        command.target, command.target_id, command.actor, command.actor_id, command.role_id
    )
