"""Remove a guest, and its files where they are of no use any more."""

from __future__ import annotations

from commands.compute.delete import RemoveGuest, ReportGuestRemoved, ReportRemovalFailed
from handlers.compute.performing import GuestTask, performs


def failed(work: RemoveGuest, task: GuestTask, reason: str) -> ReportRemovalFailed:
    """The guest could not be removed."""
    return task.of(ReportRemovalFailed, reason=reason)


@performs(RemoveGuest, failed, marked=False)
def remove(work: RemoveGuest, task: GuestTask) -> ReportGuestRemoved | ReportRemovalFailed:
    """Leaves nothing of the guest; a guest of a newer placement attempt is left alone.

    The mark goes with the guest. One with a newer operation tells that the removal is out of date.
    """
    driver = task.driver
    mark = driver.mark(work.server_id)
    present = driver.generation(work.server_id)
    newest = max(present or 0, mark.version[0] if mark is not None else 0)
    if newest > work.generation:
        return task.of(ReportGuestRemoved)
    if mark is not None and mark.version > work.version:
        return failed(work, task, "The guest has done something newer than this removal.")
    driver.ensure_absent(work.server_id, work.disks)
    return task.of(ReportGuestRemoved)
