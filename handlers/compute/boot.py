"""Build a guest: image, disks, config drive, definition, start; each step reported."""

from __future__ import annotations

from commands.compute.boot import (
    BuildGuest,
    ReportBootFailed,
    ReportDisksCreated,
    ReportDomainStarted,
    ReportImageFetched,
)
from handlers.compute.performing import Hands, performs, spec_of


def failed(work: BuildGuest, hands: Hands, reason: str) -> None:
    """The build failed; the decider has what was made removed."""
    hands.report(ReportBootFailed, reason=reason)


@performs(BuildGuest, failed)
def build(work: BuildGuest, hands: Hands) -> None:
    """Leaves the guest running."""
    spec = spec_of(work.guest)
    driver = hands.driver
    driver.ensure_image(spec, lambda image_id, path: hands.fetch(spec.image_checksum, path))
    hands.report(ReportImageFetched)
    hands.proceed()
    driver.ensure_disks(spec)
    driver.ensure_config_drive(spec)
    hands.report(ReportDisksCreated)
    hands.proceed()
    driver.ensure_defined(spec)
    driver.ensure_running(work.server_id)
    hands.report(ReportDomainStarted, power_state=int(driver.power_state(work.server_id)))
