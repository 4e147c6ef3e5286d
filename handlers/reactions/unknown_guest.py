"""What follows from an operator's decision about a guest that the log did not know.

UnknownGuestRemovalOrdered → host: RemoveGuest, with its disks → UnknownGuestSettled
GuestAdopted               → fleet: PlaceServers, on the guest's host → HostSelected (boot.py)
"""

from __future__ import annotations

from collections.abc import Iterator

from commands.compute.delete import RemoveGuest
from events.compute.server import Server
from events.compute.server import facts as f
from events.compute.unknown_guest import UnknownGuestRemovalOrdered
from handlers.reaction import Dispatch, Follow, reacts
from handlers.reactions.boot import place


@reacts(UnknownGuestRemovalOrdered)
def remove(event: UnknownGuestRemovalOrdered, _: object) -> Iterator[Follow]:
    """The host removes the guest as it was found."""
    work = RemoveGuest(
        server_id=event.server_id,
        project_id=event.project_id,
        generation=event.generation,
        operation=event.operation,
        disks=True,
    )
    yield Dispatch(work, event.host)


@reacts(f.GuestAdopted)
def place_again(event: f.GuestAdopted, server: Server) -> Iterator[Follow]:
    """The server takes room on the guest's host; the build then finds the guest there."""
    yield place(server, [server.server_id])
