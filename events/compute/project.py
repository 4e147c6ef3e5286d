"""A project's quota: its limits, and its usage as the fold of its servers' own facts.

Usage is never counted again and never reserved: a server's creation adds it and its deletion
takes it back, in the partition where both are decided.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from events.aggregate import Aggregate, register
from events.compute.server.facts import ServerCreated, ServerDeleted
from events.message import Event, ProjectId


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A project's limits (where they differ from the defaults) and usage."""

    project_id: str
    limits: dict[str, int] = {}
    instances: int = 0
    cores: int = 0
    ram_mib: int = 0


class ProjectFact(Event, frozen=True, kw_only=True):
    """Base of the facts of one project's quota."""

    abstract: ClassVar[bool] = True
    folds = (("project", "project_id"),)
    project_id: ProjectId


class QuotasSet(ProjectFact, frozen=True, kw_only=True):
    """Limits of a project were set; those not named stay."""

    limits: Annotated[dict[str, int], "Limit by resource (instances, cores, ram …); -1: none."]


class QuotasReset(ProjectFact, frozen=True, kw_only=True):
    """A project's limits are the defaults again."""


def evolve(project: Project | None, event: Event) -> Project:
    """The project after ``event``: its own facts, and its servers' creation and deletion."""
    replace = msgspec.structs.replace
    match event:
        case QuotasSet():
            project = project or Project(project_id=event.project_id)
            return replace(project, limits=project.limits | event.limits)
        case QuotasReset():
            project = project or Project(project_id=event.project_id)
            return replace(project, limits={})
        case ServerCreated():
            project = project or Project(project_id=event.project_id)
            return _used(project, 1, event.flavor.vcpus, event.flavor.ram_mib)
        case ServerDeleted():
            project = project or Project(project_id=event.project_id)
            return _used(project, -1, -event.vcpus, -event.ram_mib)
        case _:
            return project or Project(project_id="")


def _used(project: Project, instances: int, cores: int, ram_mib: int) -> Project:
    return msgspec.structs.replace(
        project,
        instances=project.instances + instances,
        cores=project.cores + cores,
        ram_mib=project.ram_mib + ram_mib,
    )


register(Aggregate("project", "compute", Project, evolve))
