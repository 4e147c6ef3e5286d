"""Stop and start a server."""

from __future__ import annotations

from typing import Annotated

from commands.compute import limits
from commands.compute.checks import in_state, locked, not_found, on_host
from commands.compute.guest import Guest, GuestReport, GuestWork
from commands.compute.reports import stale
from commands.decision import Decision, accept, decides
from events.compute.server import Server
from events.compute.server import facts as f
from events.message import Amount, Command, ServerId

Admin = Annotated[bool, "The caller may pass locks."]


class StopServer(Command, frozen=True, kw_only=True):
    """Power the server off; the guest is asked first."""

    server_id: ServerId
    admin: Admin = False


class StartServer(Command, frozen=True, kw_only=True):
    """Power the server on."""

    server_id: ServerId
    admin: Admin = False


class StopGuest(GuestWork, frozen=True, kw_only=True):
    """Power the guest off."""

    grace_s: Annotated[Amount, "Seconds the guest gets to shut down; 0: none."]


class StartGuest(GuestWork, frozen=True, kw_only=True):
    """Power the guest on; define it anew if it is not there."""

    guest: Annotated[Guest, "The guest."]


class ReportGuestStopped(GuestReport, frozen=True, kw_only=True):
    """The guest is off."""

    power_state: f.Power


class ReportGuestStarted(GuestReport, frozen=True, kw_only=True):
    """The guest runs."""

    power_state: f.Power


class ReportStopFailed(GuestReport, frozen=True, kw_only=True):
    """The guest could not be powered off."""

    reason: f.Reason


class ReportStartFailed(GuestReport, frozen=True, kw_only=True):
    """The guest could not be powered on."""

    reason: f.Reason


@decides(StopServer, "server", key="server_id")
def stop(server: Server | None, command: StopServer, at: int) -> Decision:
    """202, 404 or 409."""
    if server is None:
        return not_found(command.server_id)
    return (
        locked(server, command.admin)
        or in_state(server, "stop", ("active", "error"))
        or on_host(server)
        or accept(stop_requested(server, at))
    )


def stop_requested(server: Server, at: int, unasked: bool = False) -> f.StopRequested:
    """The fact that opens a stop."""
    return f.StopRequested(
        at=at,
        server_id=server.server_id,
        operation=server.operation + 1,
        deadline=at + limits.STOP,
        unasked=unasked,
    )


@decides(StartServer, "server", key="server_id")
def start(server: Server | None, command: StartServer, at: int) -> Decision:
    """202, 404 or 409."""
    if server is None:
        return not_found(command.server_id)
    return (
        locked(server, command.admin)
        or in_state(server, "start", ("stopped",))
        or on_host(server)
        or accept(
            f.StartRequested(
                at=at,
                server_id=server.server_id,
                operation=server.operation + 1,
                deadline=at + limits.START,
            )
        )
    )


@decides(ReportGuestStopped, "server", key="server_id")
def stopped(server: Server | None, report: ReportGuestStopped, at: int) -> Decision:
    """The server is stopped."""
    return stale(server, report, at, "powering-off") or accept(
        f.ServerStopped(
            at=at,
            server_id=report.server_id,
            operation=report.operation,
            power_state=report.power_state,
        )
    )


@decides(ReportGuestStarted, "server", key="server_id")
def started(server: Server | None, report: ReportGuestStarted, at: int) -> Decision:
    """The server is active."""
    return stale(server, report, at, "powering-on") or accept(
        f.ServerStarted(
            at=at,
            server_id=report.server_id,
            operation=report.operation,
            power_state=report.power_state,
        )
    )


@decides(ReportStopFailed, "server", key="server_id")
def stop_failed(server: Server | None, report: ReportStopFailed, at: int) -> Decision:
    """The server stays as it was, with a fault."""
    return stale(server, report, at, "powering-off") or accept(
        f.StopFailed(
            at=at, server_id=report.server_id, operation=report.operation, reason=report.reason
        )
    )


@decides(ReportStartFailed, "server", key="server_id")
def start_failed(server: Server | None, report: ReportStartFailed, at: int) -> Decision:
    """The server stays as it was, with a fault."""
    return stale(server, report, at, "powering-on") or accept(
        f.StartFailed(
            at=at, server_id=report.server_id, operation=report.operation, reason=report.reason
        )
    )
