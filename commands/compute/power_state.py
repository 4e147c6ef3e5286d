"""Power states as a host sees them: by its hypervisor's events and by a periodic look.

Nova's rules (_sync_instance_power_state): only while no task is in flight; a guest that went
off by itself is a stopped server; a guest that runs though it should be off is stopped; of one
that the hypervisor has lost only the power state is recorded: start and hard reboot heal it.
"""

from __future__ import annotations

from commands.compute.power import stop_requested
from commands.decision import Decision, accept, decides
from events.compute.server import Server
from events.compute.server import facts as f
from events.compute.server.state import CRASHED, NOSTATE, SHUTDOWN, SUSPENDED
from events.message import Command, Generation, HostName, ProjectId, ServerId

OFF = (SHUTDOWN, CRASHED)


class ReportPowerState(Command, frozen=True, kw_only=True):
    """The guest's power state as read on its host."""

    from_hosts = True
    server_id: ServerId
    project_id: ProjectId
    generation: Generation
    host: HostName
    power_state: f.Power


@decides(ReportPowerState, "server", key="server_id")
def observed(server: Server | None, report: ReportPowerState, at: int) -> Decision:
    """Record what changed, stop what should be off, remove what should not be there."""
    nowhere = server is not None and server.host is None and server.task_state is None
    if server is None or nowhere or report.generation < server.generation:
        return _stray(report, at)
    busy = server.task_state is not None or server.host != report.host
    if busy or server.vm_state in ("building", "rescued", "resized", "suspended", "error"):
        return accept()
    power = report.power_state
    if server.vm_state == "active" and power in (*OFF, SUSPENDED):
        return accept(f.GuestHalted(at=at, server_id=server.server_id, power_state=power))
    if server.vm_state in ("stopped", "paused") and _runs_unasked(server, power):
        return accept(stop_requested(server, at, unasked=True))
    if power == server.power_state:
        return accept()
    return accept(f.PowerStateObserved(at=at, server_id=server.server_id, power_state=power))


def _runs_unasked(server: Server, power: int) -> bool:
    if server.vm_state == "stopped":
        return power not in (NOSTATE, *OFF)
    return power in OFF


def _stray(report: ReportPowerState, at: int) -> Decision:
    if report.power_state == NOSTATE:
        return accept()
    return accept(
        f.StaleGuestFound(
            at=at,
            server_id=report.server_id,
            project_id=report.project_id,
            generation=report.generation,
            host=report.host,
        )
    )
