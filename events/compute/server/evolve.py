"""How each fact changes what is known of a server.

Three groups, one function each: being built, being run, being described. Every fact of
``facts.py`` has its place (``assert_never``); a fact about a server that is not there (any more)
changes nothing.
"""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from events.compute.server import facts as f
from events.compute.server.state import NOSTATE, Fault, Server

Building = (
    f.ServerCreated
    | f.ServersRequested
    | f.HostSelected
    | f.PlacementFailed
    | f.ImageFetched
    | f.DisksCreated
    | f.DomainStarted
    | f.BuildAbandoned
    | f.BootFailed
    | f.RescheduleRequested
    | f.GuestAdopted
)
Running = (
    f.StopRequested
    | f.ServerStopped
    | f.StopFailed
    | f.StartRequested
    | f.ServerStarted
    | f.StartFailed
    | f.RebootRequested
    | f.RebootStarted
    | f.RebootTurnedHard
    | f.ServerRebooted
    | f.RebootFailed
    | f.OperationTimedOut
    | f.DeletionRequested
    | f.DeletionFailed
    | f.ServerDeleted
    | f.PowerStateObserved
    | f.GuestHalted
    | f.OperationProgressed
    | f.OperationNumberRaised
)
Describing = (
    f.ServerRenamed
    | f.HostnameChanged
    | f.ServerDescribed
    | f.AccessAddressesChanged
    | f.DiskConfigChanged
    | f.ZonePinned
    | f.MetadataChanged
    | f.TagsChanged
    | f.ServerLocked
    | f.ServerUnlocked
)
Fact = Building | Running | Describing


def evolve(server: Server | None, event: Fact) -> Server | None:
    """The server after ``event``."""
    if isinstance(event, f.ServerCreated):
        return created(event)
    if server is None:
        return None
    if isinstance(event, Building):
        return _built(server, event)
    if isinstance(event, Running):
        return _run(server, event)
    return _described(server, event)


def created(event: f.ServerCreated) -> Server:
    """The server as it begins."""
    return Server(
        server_id=event.server_id,
        project_id=event.project_id,
        user_id=event.user_id,
        name=event.server_name,
        hostname=event.hostname,
        reservation_id=event.reservation_id,
        launch_index=event.launch_index,
        flavor=event.flavor,
        image=event.image,
        metadata=event.metadata,
        tags=event.tags,
        description=event.description,
        public_key=event.public_key,
        secrets=event.secrets,
        requested_zone=event.availability_zone,
        requested_host=event.requested_host,
        forced_host=event.forced_host,
        scheduler_hints=event.scheduler_hints,
        config_drive=event.config_drive,
        networks=event.networks,
        security_groups=event.security_groups,
        disk_config=event.disk_config,
        access_ip_v4=event.access_ip_v4,
        access_ip_v6=event.access_ip_v6,
        seed=event.seed,
        fingerprint=event.fingerprint,
        created_at=event.at,
        updated_at=event.at,
        deadline=event.deadline,
    )


def _built(server: Server, event: Building) -> Server:
    at = event.at
    match event:
        case f.HostSelected():
            return replace(
                server,
                host=event.host,
                node=event.node,
                availability_zone=event.availability_zone,
                alternates=event.alternates,
                generation=event.generation,
                task_state="networking",
                deadline=event.deadline,
                updated_at=at,
            )
        case f.PlacementFailed():
            details = "; ".join(f"{c.filter}: {c.hosts} hosts left" for c in event.filtered)
            fault = _fault(event.reason, at, f"{event.hosts_total} hosts; {details}")
            return _idle(server, at, vm_state="error", fault=fault)
        case f.ImageFetched():
            return _stepped(server, event, "block_device_mapping")
        case f.DisksCreated():
            return _stepped(server, event, "spawning")
        case f.DomainStarted():
            return _idle(
                server,
                at,
                vm_state="active",
                power_state=event.power_state,
                launched_at=at,
                keep_disks=False,
            )
        case f.BuildAbandoned():
            return replace(
                server,
                operation=event.operation,
                fault=_fault(event.reason, at),
                deadline=event.deadline,
                updated_at=at,
            )
        case f.BootFailed():
            return _idle(
                server,
                at,
                vm_state="error",
                fault=_fault(event.reason, at),
                failed_hosts=_with(server.failed_hosts, event.host),
                host=None,
                node=None,
                availability_zone=None,
            )
        case f.RescheduleRequested():
            return replace(
                server,
                vm_state="building",
                task_state="scheduling",
                generation=event.generation,
                failed_hosts=event.failed_hosts,
                deadline=event.deadline,
                updated_at=at,
            )
        case f.GuestAdopted():
            return replace(
                server,
                vm_state="building",
                task_state="scheduling",
                host=None,
                node=None,
                requested_host=event.host,
                forced_host=True,
                alternates=[],
                failed_hosts=[],
                generation=event.generation,
                operation=event.operation,
                keep_disks=True,
                deadline=event.deadline,
                updated_at=at,
            )
        case f.ServerCreated() | f.ServersRequested():
            return server
        case _:
            assert_never(event)


def _run(server: Server, event: Running) -> Server:  # noqa: C901 - a table of facts
    at = event.at
    match event:
        case f.StopRequested():
            return _busy(server, event, "powering-off")
        case f.StartRequested():
            return _busy(server, event, "powering-on")
        case f.RebootRequested():
            return _busy(server, event, "rebooting_hard" if event.hard else "rebooting")
        case f.RebootTurnedHard():
            return _busy(server, event, "rebooting_hard")
        case f.DeletionRequested():
            return _busy(server, event, "deleting")
        case f.RebootStarted():
            hard = server.task_state == "rebooting_hard"
            task = "reboot_started_hard" if hard else "reboot_started"
            return replace(server, task_state=task, updated_at=at)
        case f.ServerStopped() | f.GuestHalted():
            return _idle(server, at, vm_state="stopped", power_state=event.power_state)
        case f.ServerStarted() | f.ServerRebooted():
            power = event.power_state
            return _idle(server, at, vm_state="active", power_state=power, fault=None)
        case f.StopFailed() | f.StartFailed():
            return _idle(server, at, fault=_fault(event.reason, at))
        case f.RebootFailed():
            vm_state = "active" if event.power_state == 1 else "error"
            fault = _fault(event.reason, at)
            power = event.power_state
            return _idle(server, at, vm_state=vm_state, power_state=power, fault=fault)
        case f.OperationTimedOut():
            return _idle(server, at, vm_state="error", fault=_fault(event.reason, at))
        case f.DeletionFailed():
            return _idle(server, at, vm_state="error", fault=_fault(event.reason, at))
        case f.ServerDeleted():
            return _idle(server, at, vm_state="deleted", power_state=NOSTATE, terminated_at=at)
        case f.OperationProgressed():
            return replace(server, progress=event.percent, deadline=event.deadline, updated_at=at)
        case f.OperationNumberRaised():
            return replace(server, operation=event.operation)
        case f.PowerStateObserved():
            return replace(server, power_state=event.power_state, updated_at=at)
        case _:
            assert_never(event)


def _described(server: Server, event: Describing) -> Server:
    at = event.at
    match event:
        case f.ServerRenamed():
            return replace(server, name=event.server_name, updated_at=at)
        case f.HostnameChanged():
            return replace(server, hostname=event.hostname, updated_at=at)
        case f.ServerDescribed():
            return replace(server, description=event.description, updated_at=at)
        case f.AccessAddressesChanged():
            v4, v6 = event.access_ip_v4, event.access_ip_v6
            return replace(server, access_ip_v4=v4, access_ip_v6=v6, updated_at=at)
        case f.DiskConfigChanged():
            return replace(server, disk_config=event.disk_config, updated_at=at)
        case f.ZonePinned():
            zone = event.availability_zone
            return replace(server, requested_zone=zone, forced_host=False, updated_at=at)
        case f.MetadataChanged():
            return replace(server, metadata=event.metadata, updated_at=at)
        case f.TagsChanged():
            return replace(server, tags=event.tags, updated_at=at)
        case f.ServerLocked():
            by, reason = event.locked_by, event.locked_reason
            return replace(server, locked_by=by, locked_reason=reason, updated_at=at)
        case f.ServerUnlocked():
            return replace(server, locked_by=None, locked_reason=None, updated_at=at)
        case _:
            assert_never(event)


def _busy(
    server: Server,
    event: f.StopRequested
    | f.StartRequested
    | f.RebootRequested
    | f.RebootTurnedHard
    | f.DeletionRequested,
    task_state: str,
) -> Server:
    return replace(
        server,
        task_state=task_state,
        operation=event.operation,
        deadline=event.deadline,
        updated_at=event.at,
    )


def _stepped(server: Server, event: f.ImageFetched | f.DisksCreated, task_state: str) -> Server:
    return replace(
        server,
        task_state=task_state,
        progress=None,
        deadline=event.deadline or server.deadline,
        updated_at=event.at,
    )


def _with(hosts: list[str], host: str | None) -> list[str]:
    return hosts if host is None or host in hosts else [*hosts, host]


def _idle(server: Server, at: int, **changes: object) -> Server:
    return replace(server, task_state=None, deadline=None, progress=None, updated_at=at, **changes)


def _fault(message: str, at: int, details: str = "") -> Fault:
    return Fault(code=500, message=message[:255], details=details, created_at=at)
