"""Delete: how a server goes.

    DeletionRequested → host: RemoveGuest → ServerDeleted or DeletionFailed
    ServerDeleted     → fleet: ReleaseAllocation, withheld where the host was silent, until
    GuestRemovalConfirmed → fleet: ReleaseAllocation
    RemovalAskedAgain → compute: RemoveLeftover, which finds a stale guest (boot.py)

A server without a host is deleted at once; a host that does not answer removes the guest when
it is back, for its work waits in the log.
"""

from __future__ import annotations

from collections.abc import Iterator

from commands.compute.delete import RemoveGuest, RemoveLeftover
from commands.fleet.place import ReleaseAllocation
from events.compute.server import Server
from events.compute.server import facts as f
from events.fleet.allocation import RemovalAskedAgain
from handlers.reaction import Dispatch, Follow, Send, reacts
from handlers.reactions.boot import FLEET


@reacts(f.DeletionRequested)
def remove(event: f.DeletionRequested, server: Server) -> Iterator[Follow]:
    """The host removes the guest, whatever it is doing for it now."""
    if server.host is None:
        return
    work = RemoveGuest(
        server_id=server.server_id,
        project_id=server.project_id,
        generation=server.generation,
        operation=server.operation,
        disks=True,
    )
    yield Dispatch(work, server.host)


@reacts(f.ServerDeleted)
def release(event: f.ServerDeleted, _: object) -> Iterator[Follow]:
    """Its room on the host is free again."""
    if event.host is not None:
        command = ReleaseAllocation(
            server_id=event.server_id,
            host=event.host,
            generation=event.generation,
            unconfirmed=event.host_silent,
        )
        yield Send(command, FLEET)


@reacts(f.GuestRemovalConfirmed)
def release_late(event: f.GuestRemovalConfirmed, _: object) -> Iterator[Follow]:
    """What was withheld while the host was silent is free."""
    command = ReleaseAllocation(
        server_id=event.server_id, host=event.host, generation=event.generation
    )
    yield Send(command, FLEET)


@reacts(RemovalAskedAgain)
def remove_again(event: RemovalAskedAgain, _: object) -> Iterator[Follow]:
    """Compute knows whether anything of the guest is still needed."""
    command = RemoveLeftover(
        server_id=event.server_id,
        project_id=event.project_id,
        host=event.host,
        generation=event.generation,
    )
    yield Send(command, event.project_id)
