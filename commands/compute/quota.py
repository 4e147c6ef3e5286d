"""Set a project's quota limits, or give it the defaults back."""

from __future__ import annotations

from typing import Annotated

from commands.decision import Decision, accept, decides, refuse
from events.compute.project import Project, QuotasReset, QuotasSet
from events.message import Command, ProjectId


class SetQuotas(Command, frozen=True, kw_only=True):
    """Set limits; those not named stay."""

    project_id: ProjectId
    limits: Annotated[dict[str, int], "Limit by resource; -1: none."]
    force: Annotated[bool, "Also below what is in use."] = False


class ResetQuotas(Command, frozen=True, kw_only=True):
    """Give the project the default limits back."""

    project_id: ProjectId


@decides(SetQuotas, "project", key="project_id")
def set_quotas(project: Project | None, command: SetQuotas, at: int) -> Decision:
    """200 or 400 (below what is in use, unless forced)."""
    known = project or Project(project_id=command.project_id)
    used = {"instances": known.instances, "cores": known.cores, "ram": known.ram_mib}
    for resource, limit in command.limits.items():
        if not command.force and 0 <= limit < used.get(resource, 0):
            return refuse(
                400,
                "badRequest",
                f"Quota limit {limit} for {resource} must be greater than or equal to"
                f" already used and reserved {used[resource]}.",
            )
    if known.limits | command.limits == known.limits:
        return accept()
    return accept(QuotasSet(at=at, project_id=command.project_id, limits=command.limits))


@decides(ResetQuotas, "project", key="project_id")
def reset_quotas(project: Project | None, command: ResetQuotas, at: int) -> Decision:
    """202; nothing to do when the limits are the defaults."""
    if project is None or not project.limits:
        return accept()
    return accept(QuotasReset(at=at, project_id=command.project_id))
