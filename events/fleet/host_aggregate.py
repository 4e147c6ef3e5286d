"""A host aggregate: a named set of hosts with metadata; an availability zone is one of its keys.

A host may be in many aggregates but, through them, in one availability zone only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, assert_never

import immutables
import msgspec

from events.aggregate import Aggregate, begun_by, register
from events.fleet.request import DEFAULT_ZONE, SHARD, Shard
from events.message import Event, HostName

ZONE_KEY = "availability_zone"
"""Metadata key that makes an aggregate a part of an availability zone."""

AggregateId = Annotated[str, "UUID of the host aggregate."]


class AggregateCreated(Event, frozen=True, kw_only=True):
    """A host aggregate was made; it has no hosts yet."""

    folds = (("host_aggregate", "aggregate_id"), ("shard", "shard"))
    shard: Shard = SHARD
    aggregate_id: AggregateId
    number: Annotated[int, "Its number: the id in the API."]
    name: Annotated[str, "Unique name."]
    metadata: Annotated[dict[str, str], "Its metadata, the zone among it."] = {}


class AggregateRenamed(Event, frozen=True, kw_only=True):
    """A host aggregate has another name."""

    folds = (("host_aggregate", "aggregate_id"),)
    aggregate_id: AggregateId
    name: Annotated[str, "Unique name."]


class AggregateMetadataChanged(Event, frozen=True, kw_only=True):
    """A host aggregate has other metadata (the whole of it, the zone among it)."""

    folds = (("host_aggregate", "aggregate_id"),)
    aggregate_id: AggregateId
    metadata: Annotated[dict[str, str], "All of its metadata from now on."]


class HostAddedToAggregate(Event, frozen=True, kw_only=True):
    """A host became a member of an aggregate."""

    folds = (("host_aggregate", "aggregate_id"), ("host", "host"))
    aggregate_id: AggregateId
    host: HostName


class HostRemovedFromAggregate(Event, frozen=True, kw_only=True):
    """A host is no longer a member of an aggregate."""

    folds = (("host_aggregate", "aggregate_id"), ("host", "host"))
    aggregate_id: AggregateId
    host: HostName


class AggregateDeleted(Event, frozen=True, kw_only=True):
    """A host aggregate is gone."""

    folds = (("host_aggregate", "aggregate_id"),)
    aggregate_id: AggregateId


AggregateEvent = (
    AggregateCreated
    | AggregateRenamed
    | AggregateMetadataChanged
    | HostAddedToAggregate
    | HostRemovedFromAggregate
    | AggregateDeleted
)


class HostAggregate(msgspec.Struct, frozen=True, kw_only=True):
    """State. ``members``: each host with its place in the order of joining; ``joined`` counts
    those that ever did. Which aggregates a host is in is known to the host as well."""

    id: str
    number: int
    name: str
    created_at: int
    updated_at: int | None = None
    members: immutables.Map[str, int] = immutables.Map()
    joined: int = 0
    metadata: dict[str, str] = {}
    deleted: bool = False

    @property
    def hosts(self) -> tuple[str, ...]:
        """The members in the order in which they were added."""
        return tuple(sorted(self.members, key=self.members.__getitem__))

    @property
    def availability_zone(self) -> str | None:
        """The zone that its hosts are in; None when it is not a zone."""
        return self.metadata.get(ZONE_KEY)


def zone_of(host: str, aggregates: Iterable[HostAggregate]) -> str:
    """The availability zone of a host, given all aggregates."""
    return zone_among(aggregate for aggregate in aggregates if host in aggregate.members)


def zone_among(aggregates: Iterable[HostAggregate]) -> str:
    """The availability zone that these aggregates of a host put it into."""
    zones = (aggregate.metadata.get(ZONE_KEY) for aggregate in aggregates)
    return next((zone for zone in zones if zone), DEFAULT_ZONE)


@begun_by(AggregateCreated)
def evolve(aggregate: HostAggregate, event: AggregateEvent) -> HostAggregate:
    """The fold of a host aggregate's events. The first is always ``AggregateCreated``."""
    replace = msgspec.structs.replace
    match event:
        case AggregateCreated():
            return HostAggregate(
                id=event.aggregate_id,
                number=event.number,
                name=event.name,
                created_at=event.at,
                metadata=event.metadata,
            )
        case AggregateRenamed():
            return replace(aggregate, name=event.name, updated_at=event.at)
        case AggregateMetadataChanged():
            return replace(aggregate, metadata=event.metadata, updated_at=event.at)
        case HostAddedToAggregate():
            members = aggregate.members.set(event.host, aggregate.joined)
            joined = aggregate.joined + 1
            return replace(aggregate, members=members, joined=joined, updated_at=event.at)
        case HostRemovedFromAggregate():
            if event.host not in aggregate.members:
                return replace(aggregate, updated_at=event.at)
            members = aggregate.members.delete(event.host)
            return replace(aggregate, members=members, updated_at=event.at)
        case AggregateDeleted():
            return replace(aggregate, deleted=True, updated_at=event.at)
        case _:
            assert_never(event)


register(
    Aggregate(
        name="host_aggregate",
        domain="fleet",
        state=HostAggregate,
        evolve=evolve,
        gone=lambda aggregate: aggregate.deleted,
    )
)
