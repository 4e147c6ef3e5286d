"""Stop and start a guest."""

from __future__ import annotations

from commands.compute.power import (
    ReportGuestStarted,
    ReportGuestStopped,
    ReportStartFailed,
    ReportStopFailed,
    StartGuest,
    StopGuest,
)
from handlers.compute.performing import Hands, performs, spec_of


def stop_failed(work: StopGuest, hands: Hands, reason: str) -> None:
    """The guest could not be powered off."""
    hands.report(ReportStopFailed, reason=reason)


def start_failed(work: StartGuest, hands: Hands, reason: str) -> None:
    """The guest could not be powered on."""
    hands.report(ReportStartFailed, reason=reason)


@performs(StopGuest, stop_failed)
def stop(work: StopGuest, hands: Hands) -> None:
    """Leaves the guest off."""
    hands.driver.ensure_stopped(work.server_id, float(work.grace_s))
    power = int(hands.driver.power_state(work.server_id))
    hands.report(ReportGuestStopped, power_state=power)


@performs(StartGuest, start_failed)
def start(work: StartGuest, hands: Hands) -> None:
    """Leaves the guest running, defined anew if the host had lost its definition."""
    spec = spec_of(work.guest)
    driver = hands.driver
    driver.ensure_bases(spec, lambda _, path: hands.fetch(spec.image_checksum, path))
    driver.ensure_config_drive(spec)
    driver.ensure_defined(spec)
    driver.ensure_running(work.server_id)
    hands.report(ReportGuestStarted, power_state=int(driver.power_state(work.server_id)))
