"""What a project's create requests with an Idempotency-Key left behind when their servers went.

Beside the project's quota, not in it: that is written to its row with every server that comes or
goes, and has to stay small whatever clients send. Not projected; deciders alone ask it.
"""

from __future__ import annotations

import immutables
import msgspec

from events.aggregate import Aggregate, register
from events.compute.server.facts import ServerDeleted
from events.message import Event

WINDOW = 24 * 3600 * 1_000_000
"""How long (microseconds) a deleted server's idempotency key is remembered, as EC2 does."""

KEPT_MAX = 10_000
"""Of one project, the newest; a key is sent again within minutes."""

LOOKED_THROUGH_AT = 1_000
"""So many are there before the first look for old ones; from then on at twice what was kept."""


class Retry(msgspec.Struct, frozen=True):
    """What is remembered of a create request whose server is gone."""

    fingerprint: str
    deleted_at: int


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """By server id. ``look_at``: at how many old ones are forgotten."""

    project_id: str
    servers: immutables.Map[str, Retry] = immutables.Map()
    look_at: int = LOOKED_THROUGH_AT


def evolve(retries: Retries | None, event: Event) -> Retries | None:
    """After ``event``; only the end of a server that had a key counts."""
    if not isinstance(event, ServerDeleted) or not event.fingerprint:
        return retries
    retries = retries or Retries(project_id=event.project_id)
    servers = retries.servers.set(event.server_id, Retry(event.fingerprint, event.at))
    if len(servers) < retries.look_at:
        return msgspec.structs.replace(retries, servers=servers)
    recent = [(id, one) for id, one in servers.items() if one.deleted_at > event.at - WINDOW]
    recent.sort(key=lambda item: (item[1].deleted_at, item[0]))
    kept = recent[-KEPT_MAX:]
    look_at = max(LOOKED_THROUGH_AT, 2 * len(kept))
    return msgspec.structs.replace(retries, servers=immutables.Map(kept), look_at=look_at)


register(Aggregate("retries", "compute", Retries, evolve))
