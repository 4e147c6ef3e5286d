"""Facts that the identity tests begin with."""

from __future__ import annotations

from typing import Any

from events.identity.assignment import ActorKind, RoleGranted, TargetKind, assignment_id
from events.identity.domain import DomainCreated
from events.identity.group import GroupCreated
from events.identity.role import RoleCreated
from events.identity.tenant import ProjectCreated
from events.identity.user import UserCreated
from tests.parts.given import NOW, Story
from tests.parts.given import given as given_in

AT = NOW


def given(*facts: Any) -> Story:
    return given_in("identity", *facts)


def domain(id: str = "default", name: str = "Default", **fields: Any) -> DomainCreated:
    return DomainCreated(domain_id=id, domain_name=name, at=1, **fields)


def project(id: str = "p", name: str = "web", domain_id: str = "default", **fields: Any) -> Any:
    parent_id = fields.pop("parent_id", domain_id)
    return ProjectCreated(
        project_id=id, project_name=name, domain_id=domain_id, parent_id=parent_id, at=1, **fields
    )


def user(id: str = "u", name: str = "ada", domain_id: str = "default", **fields: Any) -> Any:
    return UserCreated(user_id=id, user_name=name, domain_id=domain_id, at=1, **fields)


def group(id: str = "g", name: str = "engineers", domain_id: str = "default") -> GroupCreated:
    return GroupCreated(group_id=id, group_name=name, domain_id=domain_id, at=1)


def role(id: str = "r", name: str = "member", **fields: Any) -> RoleCreated:
    return RoleCreated(role_id=id, role_name=name, at=1, **fields)


def granted(
    role_id: str = "r",
    actor: ActorKind = "user",
    actor_id: str = "u",
    target: TargetKind = "project",
    target_id: str = "p",
) -> RoleGranted:
    return RoleGranted(
        assignment_id=assignment_id(target, target_id, actor, actor_id, role_id),
        role_id=role_id,
        actor=actor,
        actor_id=actor_id,
        target=target,
        target_id=target_id,
        at=1,
    )
