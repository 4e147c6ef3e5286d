"""What an operator decides about a guest that the log does not know: adopt it or remove it.

Adopting places the server on that host again, at a new placement number. The host then finds the
guest there, keeps its disks and takes it over. A removal takes the disks too.
"""

from __future__ import annotations

from commands.compute import limits
from commands.decision import Decision, View, accept, decides_on_view, refuse
from events.compute.server import Server
from events.compute.server import facts as f
from events.compute.unknown_guest import (
    UnknownGuest,
    UnknownGuestRemovalOrdered,
    guest_id,
    settled,
)
from events.message import Command, HostName, ServerId


class AdoptGuest(Command, frozen=True, kw_only=True):
    """The guest on that host is the server's: place the server there again."""

    host: HostName
    server_id: ServerId


class RemoveUnknownGuest(Command, frozen=True, kw_only=True):
    """Remove the guest and its disks from that host."""

    host: HostName
    server_id: ServerId


@decides_on_view(AdoptGuest)
def adopt(view: View, command: AdoptGuest, at: int) -> Decision:
    """404 without such a guest or server, 409 when the server is busy or runs elsewhere."""
    guest: UnknownGuest | None = view.get(
        "unknown_guest", guest_id(command.host, command.server_id)
    )
    if guest is None:
        return _not_found(command)
    server: Server | None = view.get("server", guest.server_id)
    if server is None or server.project_id != guest.project_id:
        return refuse(
            404,
            "itemNotFound",
            f"This log has no server {guest.server_id} in project {guest.project_id}."
            " Only a server that exists can take the guest.",
        )
    if server.task_state is not None:
        return refuse(409, "conflictingRequest", f"The server is {server.task_state}.")
    if server.host not in (None, guest.host):
        return refuse(409, "conflictingRequest", f"The server is on {server.host} in this log.")
    adopted = f.GuestAdopted(
        at=at,
        server_id=server.server_id,
        host=guest.host,
        generation=max(server.generation, guest.generation) + 1,
        operation=max(server.operation, guest.operation) + 1,
        deadline=at + limits.PLACEMENT,
    )
    return accept(adopted, settled(guest, "adopted", at))


@decides_on_view(RemoveUnknownGuest)
def remove(view: View, command: RemoveUnknownGuest, at: int) -> Decision:
    """404 without such a guest. Ordering it again sends the order again."""
    guest: UnknownGuest | None = view.get(
        "unknown_guest", guest_id(command.host, command.server_id)
    )
    if guest is None:
        return _not_found(command)
    return accept(
        UnknownGuestRemovalOrdered(
            at=at,
            guest_id=guest.guest_id,
            host=guest.host,
            server_id=guest.server_id,
            project_id=guest.project_id,
            generation=guest.generation,
            operation=guest.operation + 1,
        )
    )


def _not_found(command: AdoptGuest | RemoveUnknownGuest) -> Decision:
    sentence = f"No unknown guest {command.server_id} is on {command.host}."
    return refuse(404, "itemNotFound", sentence)
