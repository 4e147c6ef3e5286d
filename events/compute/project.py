"""A project's quota: its limits, and its usage as the fold of its servers' own facts.

Usage is never counted again and never reserved: a server's creation adds it and its deletion
takes it back, in the partition where both are decided.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import immutables
import msgspec

from events.aggregate import Aggregate, register
from events.compute.server.facts import ServerCreated, ServerDeleted
from events.message import Event, ProjectId

RETRY_WINDOW = 24 * 3600 * 1_000_000
"""How long (microseconds) a deleted server's idempotency key is remembered, as EC2 does."""


class Retry(msgspec.Struct, frozen=True):
    """What is remembered of a create request with an Idempotency-Key whose server is gone."""

    fingerprint: str
    deleted_at: int


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A project's limits (where they differ from the defaults) and usage."""

    project_id: str
    limits: dict[str, int] = {}
    instances: int = 0
    cores: int = 0
    ram_mib: int = 0
    retries: immutables.Map[str, Retry] = immutables.Map()


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
            freed = _used(project, -1, -event.vcpus, -event.ram_mib)
            return _remember(freed, event) if event.fingerprint else freed
        case _:
            return project or Project(project_id="")


def _used(project: Project, instances: int, cores: int, ram_mib: int) -> Project:
    return msgspec.structs.replace(
        project,
        instances=project.instances + instances,
        cores=project.cores + cores,
        ram_mib=project.ram_mib + ram_mib,
    )


def _remember(project: Project, event: ServerDeleted) -> Project:
    forget = event.at - RETRY_WINDOW
    retries = project.retries
    for server_id, retry in project.retries.items():
        if retry.deleted_at < forget:
            retries = retries.delete(server_id)
    retries = retries.set(event.server_id, Retry(event.fingerprint, event.at))
    return msgspec.structs.replace(project, retries=retries)


register(Aggregate("project", "compute", Project, evolve))
