"""Which servers are gone while a host may still hold something of them.

A host that finds such a guest may remove it: this log knows that its server was deleted. A server
whose host confirmed the removal is not kept. Of each project the newest ``KEPT_MAX`` are kept; a
guest of a forgotten one counts as unknown and is never removed without an operator.
Not projected; deciders alone ask it.
"""

from __future__ import annotations

from typing import Annotated

import immutables
import msgspec

from events.aggregate import Aggregate, register
from events.compute.server.facts import ServerDeleted
from events.message import Event

KEPT_MAX = 2_000
"""Of one project. A guest is left over only where a host was silent or a build failed."""

SLACK = 200
"""By how much more may be kept before the oldest are dropped, so that this is done seldom."""


class Departure(msgspec.Struct, frozen=True):
    """The numbers that a deleted server ended with."""

    generation: int
    operation: int
    at: int


class Departed(msgspec.Struct, frozen=True, kw_only=True):
    """The departures of a project by server id."""

    project_id: Annotated[str, "Id of the project."]
    servers: immutables.Map[str, Departure] = immutables.Map()


def evolve(departed: Departed | None, event: Event) -> Departed | None:
    """After ``event``; only the end of a server counts that may have left something behind."""
    if not isinstance(event, ServerDeleted) or not event.leftovers:
        return departed
    departed = departed or Departed(project_id=event.project_id)
    departure = Departure(event.generation, event.operation, event.at)
    servers = departed.servers.set(event.server_id, departure)
    if len(servers) > KEPT_MAX + SLACK:
        newest = sorted(servers.items(), key=lambda item: (item[1].at, item[0]))
        servers = immutables.Map(newest[-KEPT_MAX:])
    return msgspec.structs.replace(departed, servers=servers)


register(Aggregate("departed", "compute", Departed, evolve))
