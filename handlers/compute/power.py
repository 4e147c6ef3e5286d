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
from handlers.compute.performing import GuestTask, performs, spec_of


def stop_failed(work: StopGuest, task: GuestTask, reason: str) -> ReportStopFailed:
    """The guest could not be powered off."""
    return task.of(ReportStopFailed, reason=reason)


def start_failed(work: StartGuest, task: GuestTask, reason: str) -> ReportStartFailed:
    """The guest could not be powered on."""
    return task.of(ReportStartFailed, reason=reason)


@performs(StopGuest, stop_failed)
def stop(work: StopGuest, task: GuestTask) -> ReportGuestStopped:
    """Leaves the guest off."""
    task.driver.ensure_stopped(work.server_id, float(work.grace_s))
    power = int(task.driver.power_state(work.server_id))
    return task.of(ReportGuestStopped, power_state=power)


@performs(StartGuest, start_failed)
def start(work: StartGuest, task: GuestTask) -> ReportGuestStarted:
    """Leaves the guest running, defined again if the host had lost its definition."""
    spec = spec_of(work.guest)
    driver = task.driver
    task.ensure_bases(spec)
    driver.ensure_config_drive(spec, task.read_secrets(work.guest))
    driver.ensure_defined(spec)
    driver.ensure_running(work.server_id)
    return task.of(ReportGuestStarted, power_state=int(driver.power_state(work.server_id)))
