"""What a new cloud begins with, and the way back in for its admin. Partition key: ``default``.

A cloud begins once: where the domain default exists, ``Bootstrap`` changes nothing, so a rotated
password, a disabled admin and a revoked role stay so. ``ResetAdmin`` is for an operator who has
lost the way in: it makes what the admin needs as far as it is missing. The ids of what exists
already are kept: the given ids are for what is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec

from commands.decision import Decision, View, accept, decides_on_view, refuse
from commands.identity.rules import with_name
from events.identity.assignment import SYSTEM, ActorKind, RoleGranted, TargetKind, assignment_id
from events.identity.domain import DomainCreated
from events.identity.role import Role, RoleCreated, RoleImplied
from events.identity.tenant import ProjectCreated
from events.identity.terms import PasswordHash
from events.identity.user import User, UserCreated, UserEnabled, UserPasswordChanged
from events.message import Command, Event

DOMAIN_ID = "default"
DOMAIN_NAME = "Default"
ROLES = ("admin", "manager", "member", "reader", "service")
IMPLICATIONS = (("admin", "manager"), ("manager", "member"), ("member", "reader"))
PROJECTS = {
    "admin": "Bootstrap project for initializing the cloud.",
    "demo": "For trying things out.",
    "service": "For the users that services act as.",
}


class BootstrapUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user to make."""

    user_id: Annotated[str, "Id, if there is no user of that name yet."]
    user_name: Annotated[str, "Name in the domain default."]
    password_hash: PasswordHash


class Bootstrap(Command, frozen=True, kw_only=True):
    """Make the domain ``default``, its projects, roles, users and grants, as far as missing."""

    admin: Annotated[BootstrapUser, "Has admin on its project, the domain and the system."]
    demo: Annotated[BootstrapUser | None, "Has member on the project demo; null: none."] = None
    service: Annotated[
        BootstrapUser | None, "Has admin and service on the project service; null: none."
    ] = None
    role_ids: Annotated[dict[str, str], "Id for each role name: admin, manager, member, …"]
    project_ids: Annotated[dict[str, str], "Id for each project name: admin, demo, service."]


class ResetAdmin(Command, frozen=True, kw_only=True):
    """Let the admin in again: set its password, enable it, grant it admin as at the beginning."""

    admin: Annotated[BootstrapUser, "Is made if there is none of that name."]
    role_ids: Annotated[dict[str, str], "Id for each role name, where one is missing."]
    project_ids: Annotated[dict[str, str], "Id for each project name, where one is missing."]


@decides_on_view(Bootstrap)
def bootstrap(view: View, command: Bootstrap, at: int) -> Decision:
    """Accepted, unless the id of something is not given; a cloud that has begun gives no event."""
    if view.get("domain", DOMAIN_ID) is not None:
        return accept()
    making = _Making(view, command.role_ids, command.project_ids, at)
    return making.lacking(PROJECTS, ROLES) or accept(*making.everything(command))


@decides_on_view(ResetAdmin)
def reset_admin(view: View, command: ResetAdmin, at: int) -> Decision:
    """Accepted, unless the id of something that is missing is not given."""
    making = _Making(view, command.role_ids, command.project_ids, at)
    return making.lacking(("admin",), ("admin",)) or accept(
        *making.structure(("admin",), ("admin",)), *making.admin(command.admin)
    )


class _Making:
    """One pass over the wanted state; ``_projects`` and ``_roles`` are the ids found or made."""

    def __init__(
        self, view: View, role_ids: dict[str, str], project_ids: dict[str, str], at: int
    ) -> None:
        self._view = view
        self._role_ids = role_ids
        self._project_ids = project_ids
        self._at = at
        self._projects: dict[str, str] = {}
        self._roles: dict[str, str] = {}

    def lacking(self, projects: Iterable[str], roles: Iterable[str]) -> Decision | None:
        """Refuse when one of these projects or roles has to be made and no id is given for it."""
        wanted = [("tenant", name, self._project_ids) for name in projects]
        wanted += [("role", name, self._role_ids) for name in roles]
        for kind, name, ids in wanted:
            if name not in ids and self._find(kind, name) is None:
                return refuse(400, "badRequest", f"No id is given for the {kind} {name}.")
        return None

    def everything(self, command: Bootstrap) -> Iterator[Event]:
        """All that is missing, in an order in which each thing follows what it needs."""
        yield from self.structure(PROJECTS, ROLES)
        for prior, implied in IMPLICATIONS:
            yield from self._implication(prior, implied)
        yield from self.admin(command.admin)
        if command.demo is not None:
            yield from self._user(command.demo, "demo", ("member",))
        if command.service is not None:
            yield from self._user(command.service, "service", ("admin", "service"))

    def structure(self, projects: Iterable[str], roles: Iterable[str]) -> Iterator[Event]:
        """The domain, and which of these projects and roles are missing."""
        if self._view.get("domain", DOMAIN_ID) is None:
            yield DomainCreated(
                domain_id=DOMAIN_ID,
                domain_name=DOMAIN_NAME,
                description="The default domain",
                at=self._at,
            )
        for name in projects:
            yield from self._project(name, PROJECTS[name])
        for name in roles:
            yield from self._role(name)

    def _project(self, name: str, description: str) -> Iterator[Event]:
        found = self._find("tenant", name)
        self._projects[name] = found or self._project_ids[name]
        if found is None:
            yield ProjectCreated(
                project_id=self._projects[name],
                domain_id=DOMAIN_ID,
                parent_id=DOMAIN_ID,
                project_name=name,
                description=description,
                at=self._at,
            )

    def _role(self, name: str) -> Iterator[Event]:
        found = self._find("role", name)
        self._roles[name] = found or self._role_ids[name]
        if found is None:
            yield RoleCreated(
                role_id=self._roles[name], role_name=name, immutable=True, at=self._at
            )

    def _implication(self, prior: str, implied: str) -> Iterator[Event]:
        role: Role | None = self._view.get("role", self._roles[prior])
        if role is None or self._roles[implied] not in role.implies:
            yield RoleImplied(
                role_id=self._roles[prior], implied_role_id=self._roles[implied], at=self._at
            )

    def admin(self, admin: BootstrapUser) -> Iterator[Event]:
        """The user admin with this password, enabled, with its grants."""
        yield from self._user(admin, "admin", ("admin",))
        id = self._find("user", admin.user_name) or admin.user_id
        yield from self._grant("admin", id, "domain", DOMAIN_ID)
        yield from self._grant("admin", id, "system", SYSTEM)
        user: User | None = self._view.get("user", id)
        if user is not None and not user.enabled:
            yield UserEnabled(user_id=id, at=self._at)

    def _user(self, user: BootstrapUser, project: str, roles: tuple[str, ...]) -> Iterator[Event]:
        found = self._find("user", user.user_name)
        if found is not None:
            if self._view.get("user", found).password_hash != user.password_hash:
                yield UserPasswordChanged(
                    user_id=found, password_hash=user.password_hash, at=self._at
                )
        else:
            yield UserCreated(
                user_id=user.user_id,
                domain_id=DOMAIN_ID,
                user_name=user.user_name,
                password_hash=user.password_hash,
                default_project_id=self._projects[project],
                at=self._at,
            )
        for role in roles:
            yield from self._grant(role, found or user.user_id, "project", self._projects[project])

    def _grant(
        self, role: str, user_id: str, target: TargetKind, target_id: str
    ) -> Iterator[Event]:
        actor: ActorKind = "user"
        id = assignment_id(target, target_id, actor, user_id, self._roles[role])
        if self._view.get("assignment", id) is None:
            yield RoleGranted(
                assignment_id=id,
                role_id=self._roles[role],
                actor=actor,
                actor_id=user_id,
                target=target,
                target_id=target_id,
                at=self._at,
            )

    def _find(self, aggregate: str, name: str) -> str | None:
        """The id of a domain default's project or user, or a global role, of that name."""
        return with_name(self._view, aggregate, name, None if aggregate == "role" else DOMAIN_ID)
