"""Guests that a host holds and that this log does not know: left alone, shown to the operator.

Such a guest may be of a server made after the copy from which the log was restored, or of another
site. Nothing here tells, so nothing is removed: an operator adopts the guest or orders its
removal.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, assert_never

import msgspec

from events.aggregate import Aggregate, register
from events.message import Event, Generation, HostName, Key, ProjectId, ServerId

Power = Annotated[int, "Power state as read: 0 none, 1 running, 3 paused, 4 off, 6 crashed."]
GuestId = Annotated[Key, "Host and server id, as <host>/<server id>."]
Operation = Annotated[int, "Number of the last operation that the host did for the guest."]
Reason = Annotated[str, "Why the guest is not known, one sentence."]


def guest_id(host: str, server_id: str) -> str:
    """The id of the guest of ``server_id`` on ``host``."""
    return f"{host}/{server_id}"


class UnknownGuest(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a guest that the log does not know. ``removing``: its removal is ordered;
    ``settled``: it was adopted or is gone."""

    guest_id: str
    host: str
    server_id: str
    project_id: str
    generation: int
    operation: int
    power_state: int
    reason: str
    found_at: int
    removing: bool = False
    settled: bool = False


class GuestFact(Event, frozen=True, kw_only=True):
    """Base of the facts about a guest that the log does not know."""

    abstract: ClassVar[bool] = True
    folds: ClassVar[tuple[tuple[str, str], ...]] = (("unknown_guest", "guest_id"),)
    guest_id: GuestId
    host: HostName
    server_id: ServerId
    project_id: ProjectId
    generation: Generation
    operation: Operation


class UnknownGuestFound(GuestFact, frozen=True, kw_only=True):
    """A host holds a guest that this log does not know. It is left alone."""

    power_state: Power
    reason: Reason


class UnknownGuestRemovalOrdered(GuestFact, frozen=True, kw_only=True):
    """An operator ordered the removal of the guest with its disks."""


class UnknownGuestSettled(GuestFact, frozen=True, kw_only=True):
    """The guest is unknown no longer: adopted, removed, or known again."""

    how: Annotated[str, "adopted, removed or known."]


def settled(guest: UnknownGuest, how: str, at: int) -> UnknownGuestSettled:
    """The fact that a guest is unknown no longer."""
    return UnknownGuestSettled(
        at=at,
        guest_id=guest.guest_id,
        host=guest.host,
        server_id=guest.server_id,
        project_id=guest.project_id,
        generation=guest.generation,
        operation=guest.operation,
        how=how,
    )


Fact = UnknownGuestFound | UnknownGuestRemovalOrdered | UnknownGuestSettled


def evolve(guest: UnknownGuest | None, event: Fact) -> UnknownGuest | None:
    """The guest after ``event``."""
    match event:
        case UnknownGuestFound():
            return UnknownGuest(
                guest_id=event.guest_id,
                host=event.host,
                server_id=event.server_id,
                project_id=event.project_id,
                generation=event.generation,
                operation=event.operation,
                power_state=event.power_state,
                reason=event.reason,
                found_at=event.at,
            )
        case UnknownGuestRemovalOrdered():
            return guest and msgspec.structs.replace(guest, removing=True)
        case UnknownGuestSettled():
            return guest and msgspec.structs.replace(guest, settled=True)
        case _:
            assert_never(event)


register(
    Aggregate(
        "unknown_guest", "compute", UnknownGuest, evolve, gone=lambda guest: bool(guest.settled)
    )
)
