"""The fleet: hosts, what they have, who holds it, zones; the facts a scheduler knows."""

from events.fleet import (
    allocation,
    evidence,
    heartbeat,
    host,
    host_aggregate,
    inventory,
    request,
    shard,
)

__all__ = [
    "allocation",
    "evidence",
    "heartbeat",
    "host",
    "host_aggregate",
    "inventory",
    "request",
    "shard",
]
