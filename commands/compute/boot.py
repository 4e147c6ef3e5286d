"""Boot: what the scheduler and the host say while a server is being built.

The story: SelectHost (or FailPlacement) → BuildGuest on the host → ReportImageFetched →
ReportDisksCreated → ReportDomainStarted, or ReportBootFailed, after which the host removes what it
made, and the next one is tried while attempts are left. ``handlers/reactions/boot.py`` says what
follows from what.
"""

from __future__ import annotations

from typing import Annotated

from commands.compute import limits
from commands.compute.guest import Guest, GuestReport, GuestWork
from commands.compute.progress import leased
from commands.compute.reports import ignored, stale
from commands.decision import Decision, accept, decides
from events.compute.server import Server
from events.compute.server import facts as f
from events.message import (
    Amount,
    Command,
    Event,
    Generation,
    HostName,
    Instant,
    ProjectId,
    ServerId,
)

BUILDING = ("networking", "block_device_mapping", "spawning")


class SelectHost(Command, frozen=True, kw_only=True):
    """The scheduler claimed room on a host for this server."""

    server_id: ServerId
    project_id: ProjectId
    generation: Generation
    host: HostName
    node: Annotated[str, "Hypervisor's host name."]
    alternates: Annotated[list[str], "Hosts to try next, best first."] = []
    availability_zone: Annotated[str | None, "Zone of the host."] = None
    claimed_at: Instant = 0


class FailPlacement(Command, frozen=True, kw_only=True):
    """The scheduler found no host for this server."""

    server_id: ServerId
    project_id: ProjectId
    generation: Generation
    reason: f.Reason
    hosts_total: Annotated[Amount, "Hosts there were."] = 0
    filtered: Annotated[list[f.FilterCount], "What each filter left, in order."] = []


class BuildGuest(GuestWork, frozen=True, kw_only=True):
    """Make this guest and start it."""

    guest: Annotated[Guest, "The guest."]


class ReportImageFetched(GuestReport, frozen=True, kw_only=True):
    """The image is in the host's cache."""


class ReportDisksCreated(GuestReport, frozen=True, kw_only=True):
    """The disks are made."""


class ReportDomainStarted(GuestReport, frozen=True, kw_only=True):
    """The guest runs."""

    power_state: f.Power


class ReportBootFailed(GuestReport, frozen=True, kw_only=True):
    """The guest could not be made or started."""

    reason: f.Reason


@decides(SelectHost, "server", key="server_id")
def select_host(server: Server | None, command: SelectHost, at: int) -> Decision:
    """Accept the host, or give its room back when nobody waits for it any more."""
    current = server is not None and command.generation == server.generation
    if current and server.host == command.host:  # type: ignore[union-attr]
        return accept()
    if not current or server.task_state != "scheduling":  # type: ignore[union-attr]
        return accept(
            f.HostSelectionDiscarded(
                at=at,
                server_id=command.server_id,
                generation=command.generation,
                host=command.host,
            )
        )
    return accept(
        f.HostSelected(
            at=at,
            server_id=command.server_id,
            generation=command.generation,
            host=command.host,
            node=command.node,
            availability_zone=command.availability_zone,
            alternates=command.alternates,
            deadline=at + limits.BUILD,
        )
    )


@decides(FailPlacement, "server", key="server_id")
def fail_placement(server: Server | None, command: FailPlacement, at: int) -> Decision:
    """The server goes to error, with what each filter left in the fault's details."""
    if (
        server is None
        or server.generation != command.generation
        or server.task_state != "scheduling"
    ):
        return accept()
    return accept(
        f.PlacementFailed(
            at=at,
            server_id=command.server_id,
            generation=command.generation,
            reason=command.reason,
            hosts_total=command.hosts_total,
            filtered=command.filtered,
        )
    )


@decides(ReportImageFetched, "server", key="server_id")
def image_fetched(server: Server | None, report: ReportImageFetched, at: int) -> Decision:
    """Recorded once."""
    return stale(server, report, at, "networking") or accept(
        f.ImageFetched(
            at=at,
            server_id=report.server_id,
            generation=report.generation,
            deadline=leased(server, at),
        )
    )


@decides(ReportDisksCreated, "server", key="server_id")
def disks_created(server: Server | None, report: ReportDisksCreated, at: int) -> Decision:
    """Recorded once; what must have come before it is implied."""
    return stale(server, report, at, *BUILDING[:2]) or accept(
        f.DisksCreated(
            at=at,
            server_id=report.server_id,
            generation=report.generation,
            deadline=leased(server, at),
        )
    )


@decides(ReportDomainStarted, "server", key="server_id")
def domain_started(server: Server | None, report: ReportDomainStarted, at: int) -> Decision:
    """The server is active."""
    return stale(server, report, at, *BUILDING) or accept(
        f.DomainStarted(
            at=at,
            server_id=report.server_id,
            generation=report.generation,
            power_state=report.power_state,
        )
    )


@decides(ReportBootFailed, "server", key="server_id")
def boot_failed(server: Server | None, report: ReportBootFailed, at: int) -> Decision:
    """Have the host remove what it made before another is tried, or give up."""
    refused = stale(server, report, at, *BUILDING)
    if refused is not None or server is None:
        return refused or ignored(report, at, "the server is gone")
    if not _another_host(server):
        return accept(build_failure(server, report.reason, at))
    return accept(
        f.BuildAbandoned(
            at=at,
            server_id=server.server_id,
            generation=server.generation,
            operation=server.operation + 1,
            host=server.host or "",
            reason=report.reason,
            deadline=at + limits.DELETION,
        )
    )


def _another_host(server: Server) -> bool:
    attempts = len(server.failed_hosts) + 1
    return attempts < limits.ATTEMPTS_MAX and bool(server.alternates) and not server.forced_host


def build_failure(server: Server, reason: str, at: int, *, leftovers: bool = False) -> f.BootFailed:
    """The fact that this attempt is over. ``leftovers``: its host may still start the guest."""
    return f.BootFailed(
        at=at,
        server_id=server.server_id,
        generation=server.generation,
        host=server.host,
        reason=reason,
        leftovers=leftovers,
    )


def build_removed(server: Server, at: int) -> list[Event]:
    """The host has removed what it made of an abandoned build: the next one is tried. Not
    before: a host that is slow, or begins again after a crash, could still start its guest."""
    reason = server.fault.message if server.fault is not None else ""
    return [
        build_failure(server, reason, at),
        f.RescheduleRequested(
            at=at,
            server_id=server.server_id,
            generation=server.generation + 1,
            failed_hosts=[*server.failed_hosts, server.host or ""],
            deadline=at + limits.PLACEMENT,
        ),
    ]
