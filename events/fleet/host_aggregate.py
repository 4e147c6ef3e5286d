"""A host aggregate: a named set of hosts with metadata; an availability zone is one of its keys.

A host may be in many aggregates but, through them, in one availability zone only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, assert_never

import msgspec

from events.aggregate import Aggregate, register
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

    folds = (("host_aggregate", "aggregate_id"),)
    aggregate_id: AggregateId
    host: HostName


class HostRemovedFromAggregate(Event, frozen=True, kw_only=True):
    """A host is no longer a member of an aggregate."""

    folds = (("host_aggregate", "aggregate_id"),)
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
    """State. ``hosts`` in the order in which they were added."""

    id: str
    number: int
    name: str
    created_at: int
    updated_at: int | None = None
    hosts: tuple[str, ...] = ()
    metadata: dict[str, str] = {}
    deleted: bool = False

    @property
    def availability_zone(self) -> str | None:
        """The zone that its hosts are in; None when it is not a zone."""
        return self.metadata.get(ZONE_KEY)


def zone_of(host: str, aggregates: Iterable[HostAggregate]) -> str:
    """The availability zone of a host."""
    for aggregate in aggregates:
        zone = aggregate.metadata.get(ZONE_KEY)
        if zone and host in aggregate.hosts:
            return zone
    return DEFAULT_ZONE


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
            return replace(aggregate, hosts=(*aggregate.hosts, event.host), updated_at=event.at)
        case HostRemovedFromAggregate():
            hosts = tuple(host for host in aggregate.hosts if host != event.host)
            return replace(aggregate, hosts=hosts, updated_at=event.at)
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
