"""Role assignments: who has which role on what.

Partition key: the domain of what it is on (a project's domain, the domain itself, ``default``
for the system), so that a project takes its grants with it. The id says all of it, so
granting twice is one assignment.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, assert_never

import msgspec

from events.aggregate import Aggregate, begun_by, register
from events.identity.terms import RoleId
from events.message import Event, Key

ActorKind = Literal["user", "group"]
TargetKind = Literal["project", "domain", "system"]

SYSTEM = "all"
"""The id of the one target of kind ``system``."""

AssignmentId = Annotated[Key, "<target kind>/<target id>/<actor kind>/<actor id>/<role id>"]


def assignment_id(target: str, target_id: str, actor: str, actor_id: str, role_id: str) -> str:
    """The id of that assignment."""
    return f"{target}/{target_id}/{actor}/{actor_id}/{role_id}"


class RoleGranted(Event, frozen=True, kw_only=True):
    """Someone has a role on something from now on."""

    folds = (("assignment", "assignment_id"),)
    assignment_id: AssignmentId
    role_id: RoleId
    actor: Annotated[ActorKind, "Who has it: a user, or a group for its members."]
    actor_id: Annotated[str, "Id of the user or group."]
    target: Annotated[TargetKind, "What it is on."]
    target_id: Annotated[str, "Id of the project or domain; 'all' for the system."]


class RoleRevoked(Event, frozen=True, kw_only=True):
    """Someone does not have a role on something any more."""

    folds = (("assignment", "assignment_id"),)
    assignment_id: AssignmentId


AssignmentEvent = RoleGranted | RoleRevoked


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """An assignment; ``deleted`` once revoked, until it is granted again."""

    assignment_id: str
    role_id: str
    actor: str
    actor_id: str
    target: str
    target_id: str
    deleted: bool = False


@begun_by(RoleGranted)
def evolve(assignment: Assignment, event: AssignmentEvent) -> Assignment:
    """The assignment after ``event``."""
    change: dict[str, Any]
    match event:
        case RoleGranted():
            return Assignment(
                assignment_id=event.assignment_id,
                role_id=event.role_id,
                actor=event.actor,
                actor_id=event.actor_id,
                target=event.target,
                target_id=event.target_id,
            )
        case RoleRevoked():
            change = {"deleted": True}
        case _:
            assert_never(event)
    return msgspec.structs.replace(assignment, **change)


register(Aggregate("assignment", "identity", Assignment, evolve, gone=lambda held: held.deleted))
