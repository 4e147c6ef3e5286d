"""Identity: domains, projects and users made, changed and deleted, while servers boot in them.

Names come from a few, so they are asked for twice at once. In the end no two have one name, what
lay in a domain when that was deleted is gone, and nobody has a role on a project that is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from commands.identity.assignment import GrantRole, RevokeRole
from commands.identity.domain import ChangeDomain, CreateDomain, DeleteDomain
from commands.identity.project import ChangeProject, CreateProject, DeleteProject
from commands.identity.user import ChangeUser, CreateUser, DeleteUser
from events.aggregate import AGGREGATES
from events.identity.domain import Domain, DomainDeleted
from events.identity.tenant import Tenant
from events.identity.user import User
from events.log.contract import Record
from events.message import Command
from tests.simulation.clients import Client
from tests.simulation.operations import boot, create, operation

if TYPE_CHECKING:
    from tests.simulation.world import World

DEFAULT = "default"
NAMES = 4
Key = tuple[str, str]


def _all(client: Client, kind: str) -> list[Any]:
    return [state for (name, _), state in _there(client.world).items() if name == kind]


def _there(world: World) -> dict[Key, Any]:
    """What is not deleted."""
    states = world.observer.states.items()
    return {key: one for key, one in states if not AGGREGATES[key[0]].gone(one)}


def _one(client: Client, kind: str) -> Any:
    found = _all(client, kind)
    return client.rng.choice(found) if found else None


def _name(client: Client) -> str:
    return f"name-{client.rng.randrange(NAMES)}"


def _domain(client: Client) -> str:
    ids: list[str] = [domain.domain_id for domain in _all(client, "domain")]
    return client.rng.choice([DEFAULT, *ids])


@operation
def make_domain(client: Client) -> None:
    command = CreateDomain(domain_id=client.new_id(), domain_name=_name(client))
    client.ask(command, DEFAULT)


@operation
def end_domain(client: Client) -> None:
    """Disabled first, as it has to be."""
    domain: Domain | None = _one(client, "domain")
    if domain is None:
        return make_domain(client)
    client.ask(ChangeDomain(domain_id=domain.domain_id, enabled=False), DEFAULT)
    client.ask(DeleteDomain(domain_id=domain.domain_id), DEFAULT)


@operation
def make_project(client: Client) -> None:
    domain = _domain(client)
    command = CreateProject(
        project_id=client.new_id(), domain_id=domain, parent_id=domain, project_name=_name(client)
    )
    client.ask(command, domain)


@operation
def change_project(client: Client) -> None:
    project: Tenant | None = _one(client, "tenant")
    if project is None:
        return make_project(client)
    name = _name(client) if client.rng.random() < 0.5 else None
    enabled = client.rng.choice((True, False, None))
    command = ChangeProject(project_id=project.project_id, project_name=name, enabled=enabled)
    client.ask(command, project.domain_id)


@operation
def delete_project(client: Client) -> None:
    project: Tenant | None = _one(client, "tenant")
    if project is not None:
        client.ask(DeleteProject(project_id=project.project_id), project.domain_id)


@operation
def make_user(client: Client) -> None:
    domain = _domain(client)
    command = CreateUser(user_id=client.new_id(), domain_id=domain, user_name=_name(client))
    client.ask(command, domain)


@operation
def change_user(client: Client) -> None:
    user: User | None = _one(client, "user")
    if user is None:
        return make_user(client)
    name = _name(client) if client.rng.random() < 0.5 else None
    enabled = client.rng.choice((True, False, None))
    client.ask(ChangeUser(user_id=user.user_id, user_name=name, enabled=enabled), user.domain_id)


@operation
def delete_user(client: Client) -> None:
    user: User | None = _one(client, "user")
    if user is not None:
        client.ask(DeleteUser(user_id=user.user_id), user.domain_id)


@operation
def change_role(client: Client) -> None:
    """Grant or revoke one on a project."""
    project: Tenant | None = _one(client, "tenant")
    user: User | None = _one(client, "user")
    if project is None or user is None:
        return
    kind: type[Command] = client.rng.choice((GrantRole, GrantRole, RevokeRole))
    command = kind(
        role_id="member",
        actor="user",
        actor_id=user.user_id,
        target="project",
        target_id=project.project_id,
    )
    client.ask(command, project.domain_id)


@operation
def boot_in_project(client: Client) -> None:
    """In one that is enabled, as far as the API sees; it may be disabled at the same moment."""
    enabled = [project for project in _all(client, "tenant") if project.enabled]
    if not enabled:
        return boot(client)
    project = client.rng.choice(enabled).project_id
    client.ask(msgspec.structs.replace(create(client, 1), project_id=project), project)


def check(world: World) -> None:
    """Names, domains that are gone, roles on what is gone."""
    states = _there(world)
    named = Counter((kind, _within(one), one.name) for (kind, _), one in _named(states.items()))
    for name, count in named.items():
        if count > 1:
            world.complain("name", f"{count} have the name {name}")
    for key, domain in _lost(world.cluster.written, world).items():
        if key in states:
            world.complain("orphan", f"{key} is there, its domain {domain} was deleted")
    for (kind, id), one in states.items():
        on_project = kind == "assignment" and one.target == "project"
        if on_project and ("tenant", one.target_id) not in states:
            world.complain("orphan", f"{id} is a role on a project that is gone")


def _named(states: Iterable[tuple[tuple[str, str], Any]]) -> list[tuple[tuple[str, str], Any]]:
    return [one for one in states if one[0][0] in ("domain", "tenant", "user")]


def _within(one: Any) -> str:
    return getattr(one, "domain_id", "") if not isinstance(one, Domain) else ""


def _lost(written: Iterable[Record], world: World) -> dict[tuple[str, str], str]:
    """What had been made in a domain when that was deleted, by the order of the log's records."""
    made: dict[tuple[str, str], str] = {}
    lost: dict[tuple[str, str], str] = {}
    for record in written:
        if not record.topic.startswith("identity.events"):
            continue
        event = world.codec.decode(record.value)
        if event.type_name in ("identity.ProjectCreated", "identity.UserCreated"):
            key = event.subject  # type: ignore[attr-defined]
            made[key] = event.domain_id  # type: ignore[attr-defined]
        elif isinstance(event, DomainDeleted):
            lost |= {key: id for key, id in made.items() if id == event.domain_id}
    return lost
