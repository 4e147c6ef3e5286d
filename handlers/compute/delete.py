"""Remove a guest, and its files where they are of no use any more."""

from __future__ import annotations

from commands.compute.delete import RemoveGuest, ReportGuestRemoved, ReportRemovalFailed
from handlers.compute.performing import GuestTask, performs
from handlers.performer.mark import Mark

NEWER = "The guest has done something newer than this removal."
AHEAD = (
    "The guest is older than the log, which was restored: what it did since is not known there."
    " Look at `chronova host unknown-guests`."
)


def failed(work: RemoveGuest, task: GuestTask, reason: str) -> ReportRemovalFailed:
    """The guest could not be removed."""
    return task.of(ReportRemovalFailed, reason=reason)


@performs(RemoveGuest, failed, marked=False)
def remove(work: RemoveGuest, task: GuestTask) -> ReportGuestRemoved | ReportRemovalFailed:
    """Leaves nothing of the guest; a guest of a newer placement attempt is left alone.

    The mark goes with the guest. One with a newer operation tells that the removal is out of date.
    After a restore of the log a removal must come from a newer operation: an older one may be for
    a build of which only the log does not know how it ended. The removal itself is remembered, so
    that no build of before it is done again.
    """
    driver = task.driver
    mark = driver.mark(work.server_id)
    present = driver.generation(work.server_id)
    newest = max(present or 0, mark.version[0] if mark is not None else 0)
    if newest > work.generation:
        return task.of(ReportGuestRemoved)
    if mark is not None and mark.stage != "removed":
        if mark.version > work.version:
            return failed(work, task, NEWER)
        if mark.ahead and work.version[:2] <= mark.version[:2]:
            return failed(work, task, AHEAD)
    driver.ensure_absent(work.server_id, work.disks)
    driver.remember_removed(
        work.server_id, work.project_id, Mark(version=work.version, stage="removed")
    )
    return task.of(ReportGuestRemoved)
