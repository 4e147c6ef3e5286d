"""The shard: what the scheduler remembers that belongs to no single host.

The numbers given to hosts and aggregates (never given twice), and the latest refusals, so that a
request delivered again gets the answer it got. The memory of refusals is bounded: two
maps, the older of which is dropped when the newer is full.
"""

from __future__ import annotations

from typing import Annotated, assert_never

import immutables
import msgspec

from events.aggregate import Aggregate, register
from events.fleet.evidence import FilterCount
from events.fleet.host import HostRegistered
from events.fleet.host_aggregate import AggregateCreated
from events.fleet.request import SHARD, Shard
from events.message import Amount, Event, Generation, Large, ProjectId, Text

REFUSALS_MAX = 512
"""Refusals in each of the two maps."""


class AllocationRefused(Event, frozen=True, kw_only=True):
    """No host was found for one or more of a request's servers, so none was placed."""

    folds = (("shard", "shard"),)
    shard: Shard = SHARD
    server_ids: Annotated[list[str], "UUIDs of all servers of the request."]
    project_id: ProjectId
    generation: Generation
    reason: Annotated[Text, "One sentence: which filter left no host."]
    hosts_total: Annotated[Amount, "Hosts there were."]
    filtered: Annotated[list[FilterCount], "What each filter left for the server that failed."]
    placeable: Annotated[Amount, "Servers of the request that had found a host before it failed."]
    seed: Annotated[Large, "Seed of every random choice."]
    spec_fingerprint: Annotated[str, "Hash of request spec, exclusions and policy."]


class ShardState(msgspec.Struct, frozen=True, kw_only=True):
    """State. ``refused`` and ``refused_before``: server id → latest refused generation."""

    hosts_numbered: int = 0
    aggregates_numbered: int = 0
    refused: immutables.Map[str, int] = immutables.Map()
    refused_before: immutables.Map[str, int] = immutables.Map()

    def refused_generation(self, server_id: str) -> int:
        """The latest generation refused to a server, -1 when none is remembered."""
        latest: int = self.refused.get(server_id, -1)
        return latest if latest >= 0 else self.refused_before.get(server_id, -1)


ShardEvent = HostRegistered | AggregateCreated | AllocationRefused

EMPTY = ShardState()


def evolve(shard: ShardState | None, event: ShardEvent) -> ShardState:
    """The fold of what concerns the whole shard."""
    shard = shard or EMPTY
    match event:
        case HostRegistered():
            return msgspec.structs.replace(shard, hosts_numbered=event.number)
        case AggregateCreated():
            return msgspec.structs.replace(shard, aggregates_numbered=event.number)
        case AllocationRefused():
            return _remember(shard, event)
        case _:
            assert_never(event)


def _remember(shard: ShardState, event: AllocationRefused) -> ShardState:
    refused, before = shard.refused, shard.refused_before
    if len(refused) >= REFUSALS_MAX:
        refused, before = immutables.Map(), refused
    refused = refused.update(dict.fromkeys(event.server_ids, event.generation))
    return msgspec.structs.replace(shard, refused=refused, refused_before=before)


register(Aggregate(name="shard", domain="fleet", state=ShardState, evolve=evolve))
