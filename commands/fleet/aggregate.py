"""Host aggregates and the availability zones that they make.

A host is in one zone only, and a zone never changes under servers that are in it: whatever would
do either is refused, with Nova's sentences (nova/compute/api.py, ``AggregateAPI``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

from commands.decision import Decision, View, accept, decides_on_view, refuse
from commands.lookup import lookup
from events.fleet.host import Host
from events.fleet.host_aggregate import (
    ZONE_KEY,
    AggregateCreated,
    AggregateDeleted,
    AggregateId,
    AggregateMetadataChanged,
    AggregateRenamed,
    HostAddedToAggregate,
    HostAggregate,
    HostRemovedFromAggregate,
)
from events.fleet.request import SHARD
from events.fleet.shard import EMPTY, ShardState
from events.message import Command, Event, HostName


class CreateAggregate(Command, frozen=True, kw_only=True):
    """Make a host aggregate."""

    aggregate_id: AggregateId
    name: Annotated[str, "Unique name."]
    availability_zone: Annotated[str | None, "Zone that its hosts are to be in."] = None


class UpdateAggregate(Command, frozen=True, kw_only=True):
    """Give a host aggregate another name or zone; null leaves it."""

    aggregate_id: AggregateId
    name: Annotated[str | None, "New name."] = None
    availability_zone: Annotated[str | None, "New zone."] = None


class DeleteAggregate(Command, frozen=True, kw_only=True):
    """Delete a host aggregate without hosts."""

    aggregate_id: AggregateId


class AddAggregateHost(Command, frozen=True, kw_only=True):
    """Make a host a member."""

    aggregate_id: AggregateId
    host: HostName


class RemoveAggregateHost(Command, frozen=True, kw_only=True):
    """Make a host no longer a member."""

    aggregate_id: AggregateId
    host: HostName


class SetAggregateMetadata(Command, frozen=True, kw_only=True):
    """Set metadata keys; a null removes the key."""

    aggregate_id: AggregateId
    metadata: Annotated[dict[str, str | None], "Keys to set or to remove."]


_by_name = lookup("host_aggregate.by_name", "host_aggregate", lambda aggregate: (aggregate.name,))


def _aggregates_of(view: View, hosts: Iterable[str]) -> Iterator[HostAggregate]:
    """The aggregates that these hosts are in, each once."""
    states: Iterable[Host | None] = (view.get("host", name) for name in hosts)
    for id in dict.fromkeys(id for host in states if host is not None for id in host.aggregates):
        yield view.get("host_aggregate", id)


def _unknown(id: str) -> Decision:
    return refuse(404, "itemNotFound", f"Aggregate {id} could not be found.")


def _named(view: View, name: str) -> Decision | None:
    if _by_name(view, name):
        return refuse(409, "conflictingRequest", f"Aggregate {name} already exists.")
    return None


def _zone_conflict(
    view: View, aggregate: HostAggregate, zone: str | None, hosts: Iterable[str]
) -> str | None:
    """Why these hosts cannot be in ``zone`` by this aggregate; None when they can."""
    if not zone:
        return f"Aggregate {aggregate.name} does not support empty named availability zone"
    members = tuple(hosts)
    others = sorted(
        {
            other.availability_zone
            for other in _aggregates_of(view, members)
            if other.id != aggregate.id
            and other.availability_zone
            and other.availability_zone != zone
        }
    )
    if others:
        return f"One or more hosts already in availability zone(s) {others}"
    if aggregate.availability_zone != zone and _any_servers(view, members):
        return "One or more hosts contain instances in this zone"
    return None


def _any_servers(view: View, hosts: Iterable[str]) -> bool:
    states: Iterable[Host | None] = (view.get("host", name) for name in hosts)
    return any(host is not None and host.servers > 0 for host in states)


@decides_on_view(CreateAggregate)
def create(view: View, command: CreateAggregate, at: int) -> Decision:
    """Create it, unless the name is taken. The same id again is the same aggregate."""
    known: HostAggregate | None = view.get("host_aggregate", command.aggregate_id)
    if known is not None and known.name == command.name:
        return accept()
    if (refused := _named(view, command.name)) is not None:
        return refused
    if command.availability_zone == "":
        return refuse(
            400,
            "badRequest",
            f"Aggregate {command.name} does not support empty named availability zone",
        )
    shard: ShardState = view.get("shard", SHARD) or EMPTY
    zone = command.availability_zone
    return accept(
        AggregateCreated(
            at=at,
            aggregate_id=command.aggregate_id,
            number=shard.aggregates_numbered + 1,
            name=command.name,
            metadata={ZONE_KEY: zone} if zone else {},
        )
    )


@decides_on_view(UpdateAggregate)
def update(view: View, command: UpdateAggregate, at: int) -> Decision:
    """Rename it, or move its hosts to another zone."""
    aggregate: HostAggregate | None = view.get("host_aggregate", command.aggregate_id)
    if aggregate is None:
        return _unknown(command.aggregate_id)
    events: list[Event] = []
    name, zone = command.name, command.availability_zone
    if name is not None and name != aggregate.name:
        if (refused := _named(view, name)) is not None:
            return refused
        events.append(AggregateRenamed(at=at, aggregate_id=aggregate.id, name=name))
    if zone is not None and zone != aggregate.availability_zone:
        reason = _zone_conflict(view, aggregate, zone, aggregate.members)
        if reason is not None:
            return refuse(
                400,
                "badRequest",
                f"Cannot update aggregate {aggregate.number}. Reason: {reason}.",
            )
        metadata = {**aggregate.metadata, ZONE_KEY: zone}
        events.append(AggregateMetadataChanged(at=at, aggregate_id=aggregate.id, metadata=metadata))
    return accept(*events)


@decides_on_view(DeleteAggregate)
def delete(view: View, command: DeleteAggregate, at: int) -> Decision:
    """Delete it, unless it has hosts."""
    aggregate: HostAggregate | None = view.get("host_aggregate", command.aggregate_id)
    if aggregate is None:
        return _unknown(command.aggregate_id)
    if aggregate.members:
        return refuse(
            400,
            "badRequest",
            f"Cannot delete aggregate {aggregate.number}. Reason: Host aggregate is not empty.",
        )
    return accept(AggregateDeleted(at=at, aggregate_id=aggregate.id))


@decides_on_view(AddAggregateHost)
def add_host(view: View, command: AddAggregateHost, at: int) -> Decision:
    """Add it, unless that would move it, or its servers, between zones."""
    aggregate: HostAggregate | None = view.get("host_aggregate", command.aggregate_id)
    if aggregate is None:
        return _unknown(command.aggregate_id)
    host: Host | None = view.get("host", command.host)
    if host is None or host.deleted:
        return refuse(404, "itemNotFound", f"Compute host {command.host} could not be found.")
    if command.host in aggregate.members:
        return refuse(
            409,
            "conflictingRequest",
            f"Aggregate {aggregate.number} already has host {command.host}.",
        )
    zone = aggregate.availability_zone
    if zone is not None:
        reason = _zone_conflict(view, aggregate, zone, (command.host,))
        if reason is None and host.servers and not _zoned(view, command.host, zone):
            reason = "One or more hosts contain instances in this zone"
        if reason is not None:
            return refuse(
                409,
                "conflictingRequest",
                f"Cannot add host to aggregate {aggregate.number}. Reason: {reason}.",
            )
    return accept(HostAddedToAggregate(at=at, aggregate_id=aggregate.id, host=command.host))


def _zoned(view: View, host: str, zone: str, but: str = "") -> bool:
    """Whether some aggregate (other than ``but``) puts the host into that zone."""
    return any(
        other.availability_zone == zone and other.id != but
        for other in _aggregates_of(view, (host,))
    )


@decides_on_view(RemoveAggregateHost)
def remove_host(view: View, command: RemoveAggregateHost, at: int) -> Decision:
    """Remove it, unless its servers would leave their zone by that."""
    aggregate: HostAggregate | None = view.get("host_aggregate", command.aggregate_id)
    if aggregate is None:
        return _unknown(command.aggregate_id)
    if command.host not in aggregate.members:
        return refuse(
            404, "itemNotFound", f"Aggregate {aggregate.number} has no host {command.host}."
        )
    zone = aggregate.availability_zone
    if (
        zone is not None
        and _any_servers(view, (command.host,))
        and not _zoned(view, command.host, zone, but=aggregate.id)
    ):
        return refuse(
            409,
            "conflictingRequest",
            f"Cannot remove host from aggregate {aggregate.number}. "
            "Reason: One or more hosts contain instances in this zone.",
        )
    return accept(HostRemovedFromAggregate(at=at, aggregate_id=aggregate.id, host=command.host))


@decides_on_view(SetAggregateMetadata)
def set_metadata(view: View, command: SetAggregateMetadata, at: int) -> Decision:
    """Merge the keys; another zone is checked as in an update."""
    aggregate: HostAggregate | None = view.get("host_aggregate", command.aggregate_id)
    if aggregate is None:
        return _unknown(command.aggregate_id)
    changes = command.metadata
    if ZONE_KEY in changes and changes[ZONE_KEY] != aggregate.availability_zone:
        reason = _zone_conflict(view, aggregate, changes[ZONE_KEY], aggregate.members)
        if reason is not None:
            return refuse(
                400,
                "badRequest",
                f"Cannot update metadata of aggregate {aggregate.number}. Reason: {reason}.",
            )
    merged = {**aggregate.metadata, **changes}
    metadata = {key: value for key, value in merged.items() if value is not None}
    if metadata == aggregate.metadata:
        return accept()
    return accept(AggregateMetadataChanged(at=at, aggregate_id=aggregate.id, metadata=metadata))
