"""Power states as a host sees them: by its hypervisor's events and by a periodic look.

Nova's rules (_sync_instance_power_state): only while no task is in flight; a guest that went
off by itself is a stopped server; a guest that runs though it should be off is stopped; of one
that the hypervisor has lost only the power state is recorded: start and hard reboot heal it.

A guest is removed only where this log knows that it is over. A guest that the log does not know
is recorded and left alone.
"""

from __future__ import annotations

from typing import Annotated

from commands.compute import limits
from commands.compute.checks import departure_of
from commands.compute.power import stop_requested
from commands.decision import Decision, View, accept, decides_on_view
from commands.lookup import lookup
from events.compute.server import Server
from events.compute.server import facts as f
from events.compute.server.state import CRASHED, NOSTATE, SHUTDOWN, SUSPENDED
from events.compute.unknown_guest import (
    UnknownGuest,
    UnknownGuestFound,
    UnknownGuestSettled,
    guest_id,
    settled,
)
from events.message import Command, Event, Generation, HostName, ProjectId, ServerId

OFF = (SHUTDOWN, CRASHED)

LATE = 120 * limits.SECOND
"""A host sends what it has read at once, in the order in which it did its work."""

UNKNOWN_MAX = 1000
"""Unknown guests recorded of one host. One host cannot fill a partition's memory."""

_on_host = lookup("unknown_guest.by_host", "unknown_guest", lambda guest: (guest.host,))


class ReportPowerState(Command, frozen=True, kw_only=True):
    """The guest's power state as read on its host."""

    from_hosts = True
    server_id: ServerId
    project_id: ProjectId
    generation: Generation
    host: HostName
    power_state: f.Power
    operation: Annotated[int, "The last operation that the host did for the guest; 0: unknown."] = 0
    ahead: Annotated[bool, "The log went back since: it may not know all that the guest did."] = (
        False
    )


@decides_on_view(ReportPowerState)
def observed(view: View, report: ReportPowerState, at: int) -> Decision:
    """Record what changed, stop what should be off, remove what is known to be over."""
    server: Server | None = view.get("server", report.server_id)
    unknown: UnknownGuest | None = view.get("unknown_guest", _id(report))
    if report.power_state == NOSTATE and (server is None or server.host != report.host):
        return accept(*_settled(unknown, report, "removed", at))
    if server is None:
        departure = departure_of(view, report.project_id, report.server_id)
        if departure is None:
            return _unknown(view, unknown, report, "This log knows no such server.", at)
        return accept(_stale_guest(report, departure.operation, True, at))
    if server.host == report.host and server.generation == report.generation:
        return accept(*_settled(unknown, report, "known", at), *_placed(server, report, at))
    return _elsewhere(view, server, unknown, report, at)


def _placed(server: Server, report: ReportPowerState, at: int) -> list[Event]:
    """What follows from the state of a guest where its server is placed."""
    id = server.server_id
    if server.task_state is not None or _read_before(server, report, at):
        return []
    if report.operation > server.operation:
        raised = f.OperationNumberRaised(at=at, server_id=id, operation=report.operation)
        return [raised, *_ended(server, report, at)]
    if server.vm_state in ("building", "rescued", "resized", "suspended", "error"):
        return []
    power = report.power_state
    if server.vm_state == "active" and power in (*OFF, SUSPENDED):
        return [f.GuestHalted(at=at, server_id=id, power_state=power)]
    if server.vm_state in ("stopped", "paused") and _runs_unasked(server, power):
        return [stop_requested(server, at, unasked=True)]
    if power == server.power_state:
        return []
    return [f.PowerStateObserved(at=at, server_id=id, power_state=power)]


def _ended(server: Server, report: ReportPowerState, at: int) -> list[Event]:
    """A guest that went off or is gone meanwhile: its host may not say so again for long."""
    if server.vm_state == "active" and report.power_state in (*OFF, SUSPENDED):
        id, power = server.server_id, report.power_state
        return [f.GuestHalted(at=at, server_id=id, power_state=power)]
    if report.power_state != NOSTATE or server.power_state == NOSTATE:
        return []
    return [f.PowerStateObserved(at=at, server_id=server.server_id, power_state=NOSTATE)]


def _read_before(server: Server, report: ReportPowerState, at: int) -> bool:
    """Whether the state may have been read before the host did what it was told since. Such a
    report comes along with that of the operation. One that comes later is of a host that never
    did the operation: its order was lost, and nobody answers it any more."""
    return 0 < report.operation < server.operation and at < server.updated_at + LATE


def _runs_unasked(server: Server, power: int) -> bool:
    if server.vm_state == "stopped":
        return power not in (NOSTATE, *OFF)
    return power in OFF


def _elsewhere(
    view: View, server: Server, unknown: UnknownGuest | None, report: ReportPowerState, at: int
) -> Decision:
    """A guest that is not where this log placed its server."""
    reason = f"This log has the server on {server.host or 'no host'}."
    if server.keep_disks and server.host in (None, report.host):
        if server.task_state is not None:
            return accept()  # it was adopted and is being placed here
        return _unknown(view, unknown, report, reason, at)
    failed_here = report.host in server.failed_hosts
    same = report.generation == server.generation
    failed = same and failed_here and server.host is None
    if report.generation < server.generation or (failed and not report.ahead):
        return accept(_stale_guest(report, server.operation, failed_here, at))
    if same and server.task_state is not None:
        return accept()  # the placement is not decided yet
    if report.generation > server.generation:
        reason = f"This log knows placements up to {server.generation}, not {report.generation}."
    return _unknown(view, unknown, report, reason, at)


def _unknown(
    view: View, known: UnknownGuest | None, report: ReportPowerState, reason: str, at: int
) -> Decision:
    """Record the guest, once. It is left alone."""
    if known is not None and known.generation == report.generation:
        return accept()
    if known is None and len(_on_host(view, report.host)) >= UNKNOWN_MAX:
        return accept()
    return accept(
        UnknownGuestFound(
            at=at,
            guest_id=_id(report),
            host=report.host,
            server_id=report.server_id,
            project_id=report.project_id,
            generation=report.generation,
            operation=report.operation,
            power_state=report.power_state,
            reason=reason,
        )
    )


def _settled(
    guest: UnknownGuest | None, report: ReportPowerState, how: str, at: int
) -> list[UnknownGuestSettled]:
    if guest is None:
        return []
    return [settled(guest, how, at)]


def _stale_guest(
    report: ReportPowerState, operation: int, disks: bool, at: int
) -> f.StaleGuestFound:
    """``operation``: the last one that the log knows. Its removal is newer than what the guest did
    while the log was another one."""
    operation = max(operation, report.operation + report.ahead)
    return f.StaleGuestFound(
        at=at,
        server_id=report.server_id,
        project_id=report.project_id,
        generation=report.generation,
        host=report.host,
        operation=operation,
        disks=disks,
    )


def _id(report: ReportPowerState) -> str:
    return guest_id(report.host, report.server_id)
