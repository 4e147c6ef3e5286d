"""Delete a server, in any state and in the middle of anything.

Deleting takes a new operation number, so whatever was in flight no longer counts. A server
without a host is gone at once; a claim or a selection that comes later is given back.
"""

from __future__ import annotations

from typing import Annotated

from commands.compute import limits
from commands.compute.boot import BUILDING, build_failure, build_removed
from commands.compute.checks import departure_of, locked, not_found
from commands.compute.guest import GuestReport, GuestWork
from commands.compute.power import Admin
from commands.compute.reports import stale
from commands.decision import Decision, View, accept, decides, decides_on_view
from events.compute.server import Server
from events.compute.server import facts as f
from events.compute.unknown_guest import guest_id, settled
from events.message import Command, Generation, HostName, ProjectId, ServerId


class DeleteServer(Command, frozen=True, kw_only=True):
    """Delete the server for good."""

    server_id: ServerId
    force: Annotated[bool, "Also where a deletion could be undone."] = False
    admin: Admin = False


class RemoveGuest(GuestWork, frozen=True, kw_only=True):
    """Remove the guest; nothing there is as good as removed.

    The removal after a build that was given up has the build's own numbers and supersedes it.
    """

    rank = 1
    disks: Annotated[bool, "Remove the guest's disks and files too."] = False


class RemoveLeftover(Command, frozen=True, kw_only=True):
    """Let a host remove what it may have left of a guest that it could not remove before."""

    server_id: ServerId
    project_id: ProjectId
    host: HostName
    generation: Generation


class ReportGuestRemoved(GuestReport, frozen=True, kw_only=True):
    """There is no such guest on the host any more."""


class ReportRemovalFailed(GuestReport, frozen=True, kw_only=True):
    """The guest could not be removed."""

    reason: f.Reason


@decides(DeleteServer, "server", key="server_id")
def delete(server: Server | None, command: DeleteServer, at: int) -> Decision:
    """204, 404 or 409 (locked). Asking again while it is deleted is accepted and ignored."""
    if server is None:
        return not_found(command.server_id)
    refused = locked(server, command.admin)
    if refused is not None:
        return refused
    if server.task_state == "deleting":
        return accept()
    requested = f.DeletionRequested(
        at=at,
        server_id=server.server_id,
        operation=server.operation + 1,
        deadline=at + limits.DELETION,
    )
    if server.host is None:
        return accept(requested, deleted(server, at))
    return accept(requested)


def deleted(server: Server, at: int, host_silent: bool = False) -> f.ServerDeleted:
    """The fact that the server is gone."""
    return f.ServerDeleted(
        at=at,
        server_id=server.server_id,
        project_id=server.project_id,
        vcpus=server.flavor.vcpus,
        ram_mib=server.flavor.ram_mib,
        host=server.host,
        generation=server.generation,
        fingerprint=server.fingerprint,
        host_silent=host_silent,
        operation=server.operation + (server.task_state != "deleting"),
        leftovers=host_silent or bool(server.failed_hosts) or server.generation > 1,
    )


@decides_on_view(ReportGuestRemoved)
def removed(view: View, report: ReportGuestRemoved, at: int) -> Decision:
    """The server is gone, or may be built elsewhere now; or what a host left behind is gone, long
    after. A clean-up after an older attempt needs no record: its room was given back."""
    unknown = view.get("unknown_guest", guest_id(report.host, report.server_id))
    if unknown is not None and unknown.removing:
        return accept(settled(unknown, "removed", at), _confirmed(report, at))
    server: Server | None = view.get("server", report.server_id)
    if server is None:
        departure = departure_of(view, report.project_id, report.server_id)
        return accept(_confirmed(report, at)) if departure is not None else accept()
    if report.generation < server.generation:
        return accept()
    if server.host is None and report.host in server.failed_hosts:
        return accept(_confirmed(report, at))
    if server.task_state in BUILDING and not stale(server, report, at):
        return accept(*build_removed(server, at))
    if server.task_state != "deleting":
        return accept()
    refused = stale(server, report, at, "deleting")
    return refused or accept(deleted(server, at))


def _confirmed(report: ReportGuestRemoved, at: int) -> f.GuestRemovalConfirmed:
    return f.GuestRemovalConfirmed(
        at=at, server_id=report.server_id, generation=report.generation, host=report.host
    )


@decides_on_view(RemoveLeftover)
def remove_leftover(view: View, command: RemoveLeftover, at: int) -> Decision:
    """Ask for the removal again where it is known that nothing of the guest is needed."""
    server: Server | None = view.get("server", command.server_id)
    if server is None:
        departure = departure_of(view, command.project_id, command.server_id)
        operation = departure.operation if departure is not None else None
    else:
        over = command.generation < server.generation or server.host is None
        failed_here = command.host in server.failed_hosts
        operation = server.operation if over and failed_here and not server.keep_disks else None
    if operation is None:
        return accept()
    return accept(
        f.StaleGuestFound(
            at=at,
            server_id=command.server_id,
            project_id=command.project_id,
            generation=command.generation,
            host=command.host,
            operation=operation,
            disks=True,
        )
    )


@decides(ReportRemovalFailed, "server", key="server_id")
def removal_failed(server: Server | None, report: ReportRemovalFailed, at: int) -> Decision:
    """The server is in error; deleting may be asked for again. After an abandoned build no other
    host is tried: the guest may still be there."""
    if server is not None and server.task_state in BUILDING and not stale(server, report, at):
        reason = server.fault.message if server.fault is not None else report.reason
        return accept(build_failure(server, reason, at, leftovers=True))
    return stale(server, report, at, "deleting") or accept(
        f.DeletionFailed(
            at=at, server_id=report.server_id, operation=report.operation, reason=report.reason
        )
    )
