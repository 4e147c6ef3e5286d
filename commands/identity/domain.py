"""Create, change and delete domains. Partition key: ``default``.

Deleting needs the domain to be disabled first, as in Keystone. What lies in the domain is in
another partition: ``EmptyDomain`` follows there (handlers/reactions/empty_domain.py), and
until it has, nobody of a domain that is gone is let in.
"""

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
    forbidden,
    in_domain,
    name_taken,
    not_found,
    revocations,
)
from events.identity.domain import (
    Domain,
    DomainCreated,
    DomainDeleted,
    DomainDescribed,
    DomainDisabled,
    DomainEnabled,
    DomainRenamed,
)
from events.identity.group import GroupDeleted
from events.identity.tenant import ProjectDeleted
from events.identity.terms import Description, DomainId, Extra, Name
from events.identity.user import UserDeleted
from events.message import Command, Event

DEFAULT_DOMAIN = "default"


class CreateDomain(Command, frozen=True, kw_only=True):
    """Make a domain."""

    domain_id: DomainId
    domain_name: Name
    description: Description = None
    enabled: Annotated[bool, "Whether its users may authenticate."] = True
    extra: Extra = {}


class ChangeDomain(Command, frozen=True, kw_only=True):
    """Change what is given of a domain."""

    domain_id: DomainId
    domain_name: NewName = None
    description: NewText = None
    enabled: NewFlag = None
    extra: NewMap = None


class DeleteDomain(Command, frozen=True, kw_only=True):
    """Delete a disabled domain."""

    domain_id: DomainId


class EmptyDomain(Command, frozen=True, kw_only=True):
    """Delete everything in a domain that has been deleted. Key: the domain itself."""

    domain_id: DomainId


@decides_on_view(CreateDomain)
def create(view: View, command: CreateDomain, at: int) -> Decision:
    """Refused when the name is taken."""
    if view.get("domain", command.domain_id):
        return conflict("domain", f"Duplicate ID, {command.domain_id}")
    if name_taken(view, "domain", command.domain_name, None):
        return _same_name(command.domain_name)
    return accept(
        DomainCreated(
            domain_id=command.domain_id,
            domain_name=command.domain_name,
            description=command.description,
            enabled=command.enabled,
            extra=command.extra,
            at=at,
        )
    )


@decides_on_view(ChangeDomain)
def change(view: View, command: ChangeDomain, at: int) -> Decision:
    """Only what differs happens. Refused: unknown, the new name is taken."""
    domain: Domain | None = view.get("domain", command.domain_id)
    if domain is None:
        return not_found("domain", command.domain_id)
    name = chosen(command.domain_name, domain.name)
    if name != domain.name and name_taken(view, "domain", name, None):
        return _same_name(name)
    return accept(*_changes(domain, command, at))


def _changes(domain: Domain, command: ChangeDomain, at: int) -> Iterator[Event]:
    id = domain.domain_id
    if (name := chosen(command.domain_name, domain.name)) != domain.name:
        yield DomainRenamed(domain_id=id, domain_name=name, at=at)
    description = chosen(command.description, domain.description)
    extra = chosen(command.extra, domain.extra)
    if (description, extra) != (domain.description, domain.extra):
        yield DomainDescribed(domain_id=id, description=description, extra=extra, at=at)
    if (enabled := chosen(command.enabled, domain.enabled)) != domain.enabled:
        yield (DomainEnabled if enabled else DomainDisabled)(domain_id=id, at=at)


@decides_on_view(DeleteDomain)
def delete(view: View, command: DeleteDomain, at: int) -> Decision:
    """Refused: unknown, still enabled, or the default domain."""
    domain: Domain | None = view.get("domain", command.domain_id)
    if domain is None:
        return not_found("domain", command.domain_id)
    if domain.domain_id == DEFAULT_DOMAIN:
        return forbidden("Cannot delete the domain 'default': roles and the system lie in it.")
    if domain.enabled:
        return forbidden("Cannot delete a domain that is enabled, please disable it first.")
    return accept(DomainDeleted(domain_id=command.domain_id, at=at))


@decides_on_view(EmptyDomain)
def empty(view: View, command: EmptyDomain, at: int) -> Decision:
    """Users, groups, projects, credentials and grants end."""
    return accept(*_emptied(view, command.domain_id, at))


def _emptied(view: View, domain_id: str, at: int) -> Iterator[Event]:
    yield from revocations(view, at, "domain", domain_id)
    for id in in_domain(view, "user", domain_id):
        yield from credential_deletions(view, at, "user", id)
        yield UserDeleted(user_id=id, at=at)
    for id in in_domain(view, "group", domain_id):
        yield GroupDeleted(group_id=id, at=at)
    for id in in_domain(view, "tenant", domain_id):
        yield from revocations(view, at, "project", id)
        yield ProjectDeleted(project_id=id, at=at)


def _same_name(name: str) -> Decision:
    return conflict("domain", f"it is not permitted to have two domains with the same name: {name}")
