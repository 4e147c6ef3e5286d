"""Which servers are on which host: ids and names, deleted ones left out."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from projections.compute.server_queries import Named
from projections.compute.servers import SERVERS

C = SERVERS.c


def servers_on(connection: Connection, hosts: Collection[str]) -> dict[str, list[Named]]:
    """The servers of each of these hosts, oldest first; a host without servers has no entry."""
    statement = (
        select(C.host, C.id, C.name)
        .where(C.host.in_(hosts), ~C.deleted)
        .order_by(C.host, C.created_at, C.id)
    )
    found: dict[str, list[Named]] = {}
    for host, id, name in connection.execute(statement):
        found.setdefault(host, []).append(Named(id, name))
    return found
