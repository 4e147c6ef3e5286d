"""Create, change, tag and delete projects. Partition key: the project's domain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from commands.decision import Decision, View, accept, decides_on_view, refuse
from commands.identity.rules import (
    NewFlag,
    NewMap,
    NewName,
    NewText,
    chosen,
    conflict,
    credential_deletions,
    forbidden,
    immutable,
    name_taken,
    not_found,
    revocations,
)
from commands.lookup import lookup
from events.identity.tenant import (
    ProjectCreated,
    ProjectDeleted,
    ProjectDescribed,
    ProjectDisabled,
    ProjectEnabled,
    ProjectRenamed,
    ProjectTagged,
    Tenant,
)
from events.identity.terms import Description, DomainId, Extra, Name
from events.message import Command, Event, ProjectId

TAGS_MAX = 80
"""As Keystone bounds them."""

DEPTH_MAX = 5
"""Projects above one another, Keystone's ``max_project_tree_depth``."""


class CreateProject(Command, frozen=True, kw_only=True):
    """Make a project in a domain."""

    project_id: ProjectId
    domain_id: DomainId
    parent_id: Annotated[str, "The project above it, or the domain when there is none."]
    project_name: Name
    description: Description = None
    enabled: Annotated[bool, "Whether tokens for it are given."] = True
    tags: Annotated[list[str], "Words to find it by."] = []
    immutable: Annotated[bool, "Whether changes other than lifting this are refused."] = False
    extra: Extra = {}


class ChangeProject(Command, frozen=True, kw_only=True):
    """Change what is given of a project."""

    project_id: ProjectId
    project_name: NewName = None
    description: NewText = None
    enabled: NewFlag = None
    tags: Annotated[list[str] | None, "All of its tags; null leaves the old ones."] = None
    immutable: NewFlag = None
    extra: NewMap = None


class TagProject(Command, frozen=True, kw_only=True):
    """Add one tag to a project."""

    project_id: ProjectId
    tag: Annotated[str, "The tag."]


class UntagProject(Command, frozen=True, kw_only=True):
    """Take one tag from a project."""

    project_id: ProjectId
    tag: Annotated[str, "The tag."]


class DeleteProject(Command, frozen=True, kw_only=True):
    """Delete a project that has no projects beneath it."""

    project_id: ProjectId


@decides_on_view(CreateProject)
def create(view: View, command: CreateProject, at: int) -> Decision:
    """Refused: the name is taken in the domain, the parent is unknown or of another domain."""
    if view.get("tenant", command.project_id):
        return conflict("project", f"Duplicate ID, {command.project_id}")
    if command.parent_id != command.domain_id:
        parent: Tenant | None = view.get("tenant", command.parent_id)
        if parent is None or parent.domain_id != command.domain_id:
            return refuse(400, "ValidationError", f"Could not find project: {command.parent_id}.")
        if _depth(view, parent) >= DEPTH_MAX:
            return forbidden(f"Max hierarchy depth of {DEPTH_MAX} is reached for this branch.")
    if name_taken(view, "tenant", command.project_name, command.domain_id):
        return _same_name(command.project_name)
    if len(command.tags) > TAGS_MAX:
        return _too_many_tags()
    return accept(
        ProjectCreated(
            project_id=command.project_id,
            domain_id=command.domain_id,
            parent_id=command.parent_id,
            project_name=command.project_name,
            description=command.description,
            enabled=command.enabled,
            tags=command.tags,
            immutable=command.immutable,
            extra=command.extra,
            at=at,
        )
    )


@decides_on_view(ChangeProject)
def change(view: View, command: ChangeProject, at: int) -> Decision:
    """Only what differs happens. Refused: unknown, immutable, the new name is taken."""
    project: Tenant | None = view.get("tenant", command.project_id)
    if project is None:
        return not_found("project", command.project_id)
    if project.immutable and command.immutable is not False:
        return immutable("project", command.project_id)
    name = chosen(command.project_name, project.name)
    if name != project.name and name_taken(view, "tenant", name, project.domain_id):
        return _same_name(name)
    if command.tags and len(command.tags) > TAGS_MAX:
        return _too_many_tags()
    return accept(*_changes(project, command, at))


def _changes(project: Tenant, command: ChangeProject, at: int) -> Iterator[Event]:
    id = project.project_id
    if (name := chosen(command.project_name, project.name)) != project.name:
        yield ProjectRenamed(project_id=id, project_name=name, at=at)
    described = (
        chosen(command.description, project.description),
        chosen(command.immutable, project.immutable),
        chosen(command.extra, project.extra),
    )
    if described != (project.description, project.immutable, project.extra):
        description, protected, extra = described
        yield ProjectDescribed(
            project_id=id, description=description, immutable=protected, extra=extra, at=at
        )
    if (tags := chosen(command.tags, project.tags)) != project.tags:
        yield ProjectTagged(project_id=id, tags=tags, at=at)
    if (enabled := chosen(command.enabled, project.enabled)) != project.enabled:
        yield (ProjectEnabled if enabled else ProjectDisabled)(project_id=id, at=at)


@decides_on_view(TagProject)
def tag(view: View, command: TagProject, at: int) -> Decision:
    """Refused: unknown, immutable, too many. A tag it has already changes nothing."""
    project: Tenant | None = view.get("tenant", command.project_id)
    if project is None:
        return not_found("project", command.project_id)
    if project.immutable:
        return immutable("project", command.project_id)
    if command.tag in project.tags:
        return accept()
    if len(project.tags) >= TAGS_MAX:
        return _too_many_tags()
    tags = [*project.tags, command.tag]
    return accept(ProjectTagged(project_id=command.project_id, tags=tags, at=at))


@decides_on_view(UntagProject)
def untag(view: View, command: UntagProject, at: int) -> Decision:
    """Refused: unknown, immutable, or it has no such tag."""
    project: Tenant | None = view.get("tenant", command.project_id)
    if project is None:
        return not_found("project", command.project_id)
    if project.immutable:
        return immutable("project", command.project_id)
    if command.tag not in project.tags:
        return not_found("project tag", command.tag)
    tags = [tag for tag in project.tags if tag != command.tag]
    return accept(ProjectTagged(project_id=command.project_id, tags=tags, at=at))


_children = lookup("tenant.by_parent", "tenant", lambda project: (project.parent_id,))


@decides_on_view(DeleteProject)
def delete(view: View, command: DeleteProject, at: int) -> Decision:
    """Its grants and application credentials end with it. Refused: unknown, has children."""
    id = command.project_id
    project: Tenant | None = view.get("tenant", id)
    if project is None:
        return not_found("project", id)
    if project.immutable:
        return immutable("project", id)
    if _children(view, id):
        return forbidden(f"Cannot delete project {id} since it is not a leaf in the hierarchy.")
    return accept(
        *revocations(view, at, "project", id),
        *credential_deletions(view, at, "project", id),
        ProjectDeleted(project_id=id, at=at),
    )


def _depth(view: View, project: Tenant | None) -> int:
    depth = 0
    while project is not None:
        depth += 1
        project = view.get("tenant", project.parent_id)
    return depth


def _same_name(name: str) -> Decision:
    return conflict(
        "project",
        "it is not permitted to have two projects with the same name in the same domain: " + name,
    )


def _too_many_tags() -> Decision:
    return refuse(400, "ValidationError", f"A project has at most {TAGS_MAX} tags.")
