"""Reboot a server: soft asks the guest and turns hard when it does not follow in time.

A hard reboot is also the repair of a server in error: its guest is defined anew.
"""

from __future__ import annotations

from typing import Annotated

from commands.compute import limits
from commands.compute.checks import in_state, locked, not_found, on_host
from commands.compute.guest import Guest, GuestReport, GuestWork
from commands.compute.power import Admin
from commands.compute.reports import stale
from commands.decision import Decision, accept, decides
from events.compute.server import Server
from events.compute.server import facts as f
from events.message import Amount, Command, ServerId

SOFT_TASKS = ("rebooting", "reboot_pending", "reboot_started")
HARD_TASKS = ("rebooting_hard", "reboot_pending_hard", "reboot_started_hard")
HARD_VM_STATES = ("active", "stopped", "paused", "suspended", "error")
HARD_OVER = (
    None,
    *SOFT_TASKS,
    "resuming",
    "rebooting_hard",
    "unpausing",
    "pausing",
    "suspending",
)
"""A hard reboot is the one operation that may begin over these tasks."""


class RebootServer(Command, frozen=True, kw_only=True):
    """Reboot the server."""

    server_id: ServerId
    type: Annotated[str, "SOFT or HARD."]
    admin: Admin = False


class RebootGuest(GuestWork, frozen=True, kw_only=True):
    """Reboot the guest."""

    hard: Annotated[bool, "By power cycle, defined anew."]
    timeout_s: Annotated[Amount, "Seconds a soft reboot may take."]
    guest: Annotated[Guest, "The guest."]


class ReportRebootStarted(GuestReport, frozen=True, kw_only=True):
    """The reboot has begun."""


class ReportGuestRebooted(GuestReport, frozen=True, kw_only=True):
    """The guest runs again."""

    power_state: f.Power


class ReportSoftRebootUnanswered(GuestReport, frozen=True, kw_only=True):
    """The guest did not follow the soft reboot."""


class ReportRebootFailed(GuestReport, frozen=True, kw_only=True):
    """The guest could not be rebooted."""

    reason: f.Reason
    power_state: f.Power


@decides(RebootServer, "server", key="server_id")
def reboot(server: Server | None, command: RebootServer, at: int) -> Decision:
    """202, 404 or 409."""
    if server is None:
        return not_found(command.server_id)
    hard = command.type == "HARD"
    allowed = (
        in_state(server, "reboot", HARD_VM_STATES, HARD_OVER)
        if hard
        else in_state(server, "reboot", ("active",))
    )
    return (
        locked(server, command.admin)
        or allowed
        or on_host(server)
        or accept(
            f.RebootRequested(
                at=at,
                server_id=server.server_id,
                operation=server.operation + 1,
                hard=hard,
                deadline=at + (limits.HARD_REBOOT if hard else limits.SOFT_REBOOT),
            )
        )
    )


def turned_hard(server: Server, at: int) -> f.RebootTurnedHard:
    """The fact that a soft reboot becomes a hard one."""
    return f.RebootTurnedHard(
        at=at,
        server_id=server.server_id,
        operation=server.operation + 1,
        deadline=at + limits.HARD_REBOOT,
    )


@decides(ReportRebootStarted, "server", key="server_id")
def reboot_started(server: Server | None, report: ReportRebootStarted, at: int) -> Decision:
    """Recorded once."""
    return stale(server, report, at, "rebooting", "rebooting_hard") or accept(
        f.RebootStarted(at=at, server_id=report.server_id, operation=report.operation)
    )


@decides(ReportGuestRebooted, "server", key="server_id")
def rebooted(server: Server | None, report: ReportGuestRebooted, at: int) -> Decision:
    """The server is active."""
    return stale(server, report, at, *SOFT_TASKS, *HARD_TASKS) or accept(
        f.ServerRebooted(
            at=at,
            server_id=report.server_id,
            operation=report.operation,
            power_state=report.power_state,
        )
    )


@decides(ReportSoftRebootUnanswered, "server", key="server_id")
def unanswered(server: Server | None, report: ReportSoftRebootUnanswered, at: int) -> Decision:
    """The reboot turns hard."""
    refused = stale(server, report, at, *SOFT_TASKS)
    if refused is not None or server is None:
        return refused or accept()
    return accept(turned_hard(server, at))


@decides(ReportRebootFailed, "server", key="server_id")
def reboot_failed(server: Server | None, report: ReportRebootFailed, at: int) -> Decision:
    """Active when the guest runs all the same, else error; with a fault."""
    return stale(server, report, at, *SOFT_TASKS, *HARD_TASKS) or accept(
        f.RebootFailed(
            at=at,
            server_id=report.server_id,
            operation=report.operation,
            reason=report.reason,
            power_state=report.power_state,
        )
    )
