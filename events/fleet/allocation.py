"""A server's allocation: which host's room it holds, as placement's consumer.

A server holds at most one. ``generation`` fences placement attempts: whatever refers to an older
one changes nothing. The host's totals are folded from the same events, so both always agree.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from events.aggregate import Aggregate, register
from events.fleet.evidence import Evidence
from events.fleet.request import Resources
from events.message import Event, Generation, HostName, ProjectId, ServerId, UserId


class AllocationClaimed(Event, frozen=True, kw_only=True):
    """A host's room was given to a server."""

    folds = (("host", "host"), ("allocation", "server_id"))
    server_id: ServerId
    host: HostName
    node: Annotated[str, "The node's own name (hypervisor_hostname)."]
    generation: Generation
    project_id: ProjectId
    user_id: UserId
    resources: Annotated[Resources, "What the server holds."]
    availability_zone: Annotated[str, "The host's zone at this moment."]
    alternates: Annotated[list[str], "Next best hosts, should this one fail; at most two."]
    evidence: Annotated[Evidence, "Why this host."]


class AllocationReleased(Event, frozen=True, kw_only=True):
    """A server's room on a host is free again."""

    folds = (("host", "host"), ("allocation", "server_id"))
    server_id: ServerId
    host: HostName
    generation: Generation
    project_id: ProjectId
    resources: Annotated[Resources, "What the server held."]
    reason: Annotated[
        str,
        "released: asked for; replaced: a newer attempt was placed; forced down: its host was"
        " declared dead.",
    ]


class AllocationWithheld(Event, frozen=True, kw_only=True):
    """A server's room is not needed any more, but its host has not said that the guest is gone.

    It is released when the host says so, or an operator declares the host dead. A host that starts
    is asked again (``RemovalAskedAgain``).
    """

    folds = (("allocation", "server_id"),)
    server_id: ServerId
    host: HostName
    generation: Generation


class RemovalAskedAgain(Event, frozen=True, kw_only=True):
    """The host of withheld room has started: it is asked once more to remove the guest."""

    folds = (("allocation", "server_id"),)
    server_id: ServerId
    host: HostName
    generation: Generation
    project_id: ProjectId


class Allocation(msgspec.Struct, frozen=True, gc=False):
    """State: what a server holds. ``host`` is empty once it holds nothing."""

    server_id: str
    host: str
    generation: int
    project_id: str
    user_id: str
    resources: Resources
    claimed_at: int
    withheld: bool = False
    """Whether it only waits until its host has nothing left of the guest."""


AllocationEvent = AllocationClaimed | AllocationReleased | AllocationWithheld | RemovalAskedAgain


def evolve(allocation: Allocation | None, event: AllocationEvent) -> Allocation | None:
    """The fold of one server's claims and releases."""
    if isinstance(event, RemovalAskedAgain):
        return allocation
    if isinstance(event, AllocationWithheld):
        return allocation and msgspec.structs.replace(allocation, withheld=True)
    if isinstance(event, AllocationClaimed):
        return Allocation(
            event.server_id,
            event.host,
            event.generation,
            event.project_id,
            event.user_id,
            event.resources,
            event.at,
        )
    if allocation is None:
        return Allocation(
            event.server_id, "", event.generation, event.project_id, "", event.resources, event.at
        )
    return msgspec.structs.replace(allocation, host="", withheld=False)


register(
    Aggregate(
        name="allocation",
        domain="fleet",
        state=Allocation,
        evolve=evolve,
        gone=lambda allocation: not allocation.host,
        shared=("host", "project_id", "user_id", "resources"),
    )
)
