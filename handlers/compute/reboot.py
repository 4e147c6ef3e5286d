"""Reboot a guest, once for each request."""

from __future__ import annotations

from commands.compute.guest import GuestReport
from commands.compute.reboot import (
    RebootGuest,
    ReportGuestRebooted,
    ReportRebootFailed,
    ReportRebootStarted,
    ReportSoftRebootUnanswered,
)
from handlers.compute.performing import GuestTask, performs, spec_of


def failed(work: RebootGuest, task: GuestTask, reason: str) -> ReportRebootFailed:
    """The reboot failed; whether the guest runs all the same decides what the server is now."""
    power = int(task.driver.power_state(work.server_id))
    return task.of(ReportRebootFailed, reason=reason, power_state=power)


@performs(RebootGuest, failed, once=True)
def reboot(work: RebootGuest, task: GuestTask) -> GuestReport:
    """Leaves the guest running, or reports that it did not follow a soft reboot."""
    driver = task.driver
    spec = spec_of(work.guest)
    task.report(ReportRebootStarted)
    task.ensure_bases(spec)
    if not task.happened():
        if work.hard:
            driver.reboot_hard(spec, task.read_secrets(work.guest))
        else:
            driver.ensure_config_drive(spec, task.read_secrets(work.guest))
            driver.ensure_defined(spec)  # a guest whose definition is lost could not start again
            if not driver.reboot_soft(work.server_id, float(work.timeout_s)):
                return task.of(ReportSoftRebootUnanswered)
    return task.of(ReportGuestRebooted, power_state=int(driver.power_state(work.server_id)))
