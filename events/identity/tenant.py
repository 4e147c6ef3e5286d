"""Projects as identity knows them (``tenant``: compute's ``project`` holds quota and usage).

Partition key: the project's domain.
"""

from __future__ import annotations

from typing import Annotated, Any, assert_never

import msgspec

from events.aggregate import Aggregate, begun_by, register
from events.identity.terms import Description, DomainId, Extra, Name
from events.message import Event, ProjectId


class ProjectCreated(Event, frozen=True, kw_only=True):
    """A project exists from now on."""

    folds = (("tenant", "project_id"),)
    project_id: ProjectId
    domain_id: DomainId
    parent_id: Annotated[str, "The project above it, or the domain when there is none."]
    project_name: Name
    description: Description = None
    enabled: Annotated[bool, "Whether tokens for it are given."] = True
    tags: Annotated[list[str], "Words to find it by."] = []
    immutable: Annotated[bool, "Whether changes other than lifting this are refused."] = False
    extra: Extra = {}


class ProjectRenamed(Event, frozen=True, kw_only=True):
    """A project has another name."""

    folds = (("tenant", "project_id"),)
    project_id: ProjectId
    project_name: Name


class ProjectDescribed(Event, frozen=True, kw_only=True):
    """A project's description, protection or free properties are others; all given whole."""

    folds = (("tenant", "project_id"),)
    project_id: ProjectId
    description: Description = None
    immutable: Annotated[bool, "Whether changes other than lifting this are refused."] = False
    extra: Extra = {}


class ProjectTagged(Event, frozen=True, kw_only=True):
    """A project has these tags and no others."""

    folds = (("tenant", "project_id"),)
    project_id: ProjectId
    tags: Annotated[list[str], "All of its tags."]


class ProjectEnabled(Event, frozen=True, kw_only=True):
    """Tokens for the project are given again; those of before stay invalid."""

    folds = (("tenant", "project_id"),)
    project_id: ProjectId


class ProjectDisabled(Event, frozen=True, kw_only=True):
    """No tokens for the project are given; all its tokens are invalid from this moment."""

    folds = (("tenant", "project_id"),)
    project_id: ProjectId


class ProjectDeleted(Event, frozen=True, kw_only=True):
    """A project is gone, and with it its grants and application credentials."""

    folds = (("tenant", "project_id"),)
    project_id: ProjectId


ProjectEvent = (
    ProjectCreated
    | ProjectRenamed
    | ProjectDescribed
    | ProjectTagged
    | ProjectEnabled
    | ProjectDisabled
    | ProjectDeleted
)


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """A project. Tokens for it issued up to ``tokens_valid_from`` (microseconds) are invalid."""

    project_id: str
    domain_id: str
    parent_id: str
    name: str
    description: str | None = None
    enabled: bool = True
    tags: list[str] = []
    immutable: bool = False
    extra: dict[str, str] = {}
    tokens_valid_from: int = 0
    deleted: bool = False


@begun_by(ProjectCreated)
def evolve(tenant: Tenant, event: ProjectEvent) -> Tenant:
    """The project after ``event``."""
    change: dict[str, Any]
    match event:
        case ProjectCreated():
            return Tenant(
                project_id=event.project_id,
                domain_id=event.domain_id,
                parent_id=event.parent_id,
                name=event.project_name,
                description=event.description,
                enabled=event.enabled,
                tags=event.tags,
                immutable=event.immutable,
                extra=event.extra,
            )
        case ProjectRenamed():
            change = {"name": event.project_name}
        case ProjectDescribed():
            change = {
                "description": event.description,
                "immutable": event.immutable,
                "extra": event.extra,
            }
        case ProjectTagged():
            change = {"tags": event.tags}
        case ProjectEnabled():
            change = {"enabled": True}
        case ProjectDisabled():
            change = {"enabled": False, "tokens_valid_from": event.at}
        case ProjectDeleted():
            change = {"deleted": True}
        case _:
            assert_never(event)
    return msgspec.structs.replace(tenant, **change)


register(Aggregate("tenant", "identity", Tenant, evolve, gone=lambda tenant: tenant.deleted))
