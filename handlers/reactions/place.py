"""Placement, the scheduler's half of every story that needs a host.

AllocationClaimed  → compute: SelectHost, for the claimed server
AllocationRefused  → compute: FailPlacement, for each server of the request
"""

from __future__ import annotations

from collections.abc import Iterator

from commands.compute.boot import FailPlacement, SelectHost
from events.compute.server import facts as f
from events.fleet.allocation import AllocationClaimed
from events.fleet.host import Host
from events.fleet.shard import AllocationRefused, ShardState
from handlers.reaction import Send, reacts


@reacts(AllocationClaimed)
def select_host(claim: AllocationClaimed, host: Host) -> Iterator[Send]:
    """The server learns its host."""
    yield Send(
        SelectHost(
            server_id=claim.server_id,
            project_id=claim.project_id,
            generation=claim.generation,
            host=claim.host,
            node=claim.node,
            alternates=claim.alternates,
            availability_zone=claim.availability_zone,
            claimed_at=claim.at,
        ),
        key=claim.project_id,
    )


@reacts(AllocationRefused)
def fail_placement(refusal: AllocationRefused, shard: ShardState) -> Iterator[Send]:
    """Each server learns that there is no room, and what each filter left."""
    filtered = [
        f.FilterCount(filter=count.filter, hosts=count.remaining) for count in refusal.filtered
    ]
    for server_id in refusal.server_ids:
        yield Send(
            FailPlacement(
                server_id=server_id,
                project_id=refusal.project_id,
                generation=refusal.generation,
                reason=refusal.reason,
                hosts_total=refusal.hosts_total,
                filtered=filtered,
            ),
            key=refusal.project_id,
        )
