"""Build a guest: image, disks, config drive, definition, start; each step reported."""

from __future__ import annotations

from commands.compute.boot import (
    BuildGuest,
    ReportBootFailed,
    ReportDisksCreated,
    ReportDomainStarted,
    ReportImageFetched,
)
from handlers.compute.performing import GuestTask, performs, spec_of


def failed(work: BuildGuest, task: GuestTask, reason: str) -> ReportBootFailed:
    """The build failed; the decider has what was made removed."""
    return task.of(ReportBootFailed, reason=reason)


def overtaken(work: BuildGuest, task: GuestTask) -> ReportDomainStarted | None:
    """A guest of this build that has done more since was built: a restored log may not know."""
    if task.driver.generation(work.server_id) != work.generation:
        return None
    return task.of(ReportDomainStarted, power_state=int(task.driver.power_state(work.server_id)))


@performs(BuildGuest, failed, long=True, overtaken=overtaken)
def build(work: BuildGuest, task: GuestTask) -> ReportDomainStarted:
    """Leaves the guest running."""
    spec = spec_of(work.guest)
    driver = task.driver
    task.ensure_image(spec)
    task.report(ReportImageFetched)
    task.proceed()
    driver.ensure_disks(spec)
    driver.ensure_config_drive(spec, task.read_secrets(work.guest))
    task.report(ReportDisksCreated)
    task.proceed()
    driver.ensure_defined(spec)
    driver.ensure_running(work.server_id)
    return task.of(ReportDomainStarted, power_state=int(driver.power_state(work.server_id)))
