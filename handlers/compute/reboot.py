"""Reboot a guest."""

from __future__ import annotations

from commands.compute.reboot import (
    RebootGuest,
    ReportGuestRebooted,
    ReportRebootFailed,
    ReportRebootStarted,
    ReportSoftRebootUnanswered,
)
from handlers.compute.performing import Hands, performs, spec_of


def failed(work: RebootGuest, hands: Hands, reason: str) -> None:
    """The reboot failed; whether the guest runs all the same decides what the server is now."""
    power = int(hands.driver.power_state(work.server_id))
    hands.report(ReportRebootFailed, reason=reason, power_state=power)


@performs(RebootGuest, failed)
def reboot(work: RebootGuest, hands: Hands) -> None:
    """Leaves the guest running, or reports that it did not follow a soft reboot."""
    spec = spec_of(work.guest)
    driver = hands.driver
    hands.report(ReportRebootStarted)
    driver.ensure_bases(spec, lambda _, path: hands.fetch(spec.image_checksum, path))
    if work.hard:
        driver.reboot_hard(spec)
    else:
        driver.ensure_config_drive(spec)
        driver.ensure_defined(spec)  # a guest whose definition is lost could not be started again
        if not driver.reboot_soft(work.server_id, float(work.timeout_s)):
            hands.report(ReportSoftRebootUnanswered)
            return
    hands.report(ReportGuestRebooted, power_state=int(driver.power_state(work.server_id)))
