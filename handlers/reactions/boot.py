"""Boot, read from top to bottom: how a server comes to run.

ServerCreated        → fleet: PlaceServers (all servers of one request at once)
AllocationClaimed    → compute: SelectHost                  (place.py)
AllocationRefused    → compute: FailPlacement               (place.py)
HostSelected         → host: BuildGuest, which reports each step
BuildAbandoned       → host: RemoveGuest; only when it has, the build failed
BootFailed           → host: RemoveGuest; fleet: ReleaseAllocation (withheld until the host has
                       removed what it may have left: GuestRemovalConfirmed, delete.py), unless
RescheduleRequested  → fleet: PlaceServers once more, without the hosts that failed
HostSelectionDiscarded, the server did not wait any more → fleet: ReleaseAllocation
StaleGuestFound      → host: RemoveGuest
"""

from __future__ import annotations

from collections.abc import Iterator

from commands.compute.boot import BuildGuest
from commands.compute.delete import RemoveGuest
from commands.compute.guest import guest_of
from commands.fleet.place import PlaceServers, ReleaseAllocation
from events.compute.server import Server
from events.compute.server import facts as f
from events.fleet.request import RequestSpec
from handlers.reaction import Dispatch, Follow, Send, reacts

FLEET = "default"
"""The key of the one fleet shard."""


def request_spec(server: Server) -> RequestSpec:
    """What the scheduler is asked for."""
    image = server.image
    return RequestSpec(
        vcpus=server.flavor.vcpus,
        ram_mib=server.flavor.ram_mib,
        disk_gib=server.flavor.disk_gib,
        flavor_name=server.flavor.name,
        extra_specs=server.flavor.extra_specs,
        image_id=image.image_id if image else None,
        image_properties=image.properties if image else {},
        user_id=server.user_id,
        availability_zone=server.requested_zone,
        requested_host=server.requested_host,
        forced=server.forced_host,
        scheduler_hints=server.scheduler_hints,
    )


def place(server: Server, server_ids: list[str]) -> Send:
    """Ask the scheduler for a host for each of these servers, which are like ``server``."""
    command = PlaceServers(
        server_ids=server_ids,
        project_id=server.project_id,
        spec=request_spec(server),
        generation=server.generation,
        excluded_hosts=server.failed_hosts,
        seed=server.seed,
    )
    return Send(command, FLEET)


@reacts(f.ServersRequested)
def place_all(event: f.ServersRequested, server: Server | None) -> Iterator[Follow]:
    """All servers of one request are placed in one decision: all or none."""
    if server is not None:
        yield place(server, event.server_ids)


@reacts(f.HostSelected)
def build(event: f.HostSelected, server: Server) -> Iterator[Follow]:
    """The host gets all that it needs to build the guest."""
    work = BuildGuest(
        server_id=server.server_id,
        project_id=server.project_id,
        generation=server.generation,
        operation=server.operation,
        guest=guest_of(server),
    )
    yield Dispatch(work, event.host)


@reacts(f.BuildAbandoned)
def remove_first(event: f.BuildAbandoned, server: Server) -> Iterator[Follow]:
    """The server may be built elsewhere once nothing of it is left here."""
    yield Dispatch(_remove(server, event.generation), event.host)


@reacts(f.BootFailed)
def clean_up(event: f.BootFailed, server: Server) -> Iterator[Follow]:
    """Whatever was made is removed and the room given back. An adopted guest is left as it is."""
    if event.host is None:
        return
    if not server.keep_disks:
        yield Dispatch(_remove(server, event.generation), event.host)
    yield _release(server.server_id, event.host, event.generation, unconfirmed=event.leftovers)


@reacts(f.RescheduleRequested)
def place_again(event: f.RescheduleRequested, server: Server) -> Iterator[Follow]:
    """Another host is looked for, for this server alone."""
    yield place(server, [server.server_id])


@reacts(f.HostSelectionDiscarded)
def give_back(event: f.HostSelectionDiscarded, _: object) -> Iterator[Follow]:
    """Nobody waits for this host any more."""
    yield _release(event.server_id, event.host, event.generation)


@reacts(f.StaleGuestFound)
def remove_stray(event: f.StaleGuestFound, _: object) -> Iterator[Follow]:
    """A guest of an older attempt, or of a server that is gone, is removed where it was seen."""
    work = RemoveGuest(
        server_id=event.server_id,
        project_id=event.project_id,
        generation=event.generation,
        operation=event.operation,
        disks=event.disks,
    )
    yield Dispatch(work, event.host)


def _remove(server: Server, generation: int) -> RemoveGuest:
    return RemoveGuest(
        server_id=server.server_id,
        project_id=server.project_id,
        generation=generation,
        operation=server.operation,
        disks=True,
    )


def _release(server_id: str, host: str, generation: int, *, unconfirmed: bool = False) -> Send:
    command = ReleaseAllocation(
        server_id=server_id, host=host, generation=generation, unconfirmed=unconfirmed
    )
    return Send(command, FLEET)
