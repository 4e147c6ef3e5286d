"""Who holds what: placement's allocations. A released one stays as a row without a host."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import orjson
from sqlalchemy import BigInteger, Column, Connection, Index, Text, select

from events.fleet.allocation import Allocation
from events.fleet.inventory import DISK_GB, MEMORY_MB, VCPU
from events.fleet.request import Resources
from projections.fleet.hosts import HOSTS
from projections.table import Row, project, projected_table

VERSION = 1

ALLOCATIONS = projected_table(
    "allocations",
    Column("host", Text),
    Column("generation", BigInteger, nullable=False),
    Column("project_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("resources", Text, nullable=False),
    Column("claimed_at", BigInteger, nullable=False),
    Index("allocations_by_host", "host"),
    Index("allocations_by_project", "project_id"),
)
C = ALLOCATIONS.c


def amounts(resources: Resources) -> dict[str, int]:
    """By resource class, as placement writes them: what is 0 is left out."""
    named = {VCPU: resources.vcpus, MEMORY_MB: resources.ram_mib, DISK_GB: resources.disk_gib}
    return {name: amount for name, amount in {**named, **resources.others}.items() if amount}


def row(allocation: Allocation) -> Row:
    """The row of a server's allocation."""
    return {
        "host": allocation.host or None,
        "generation": allocation.generation,
        "project_id": allocation.project_id,
        "user_id": allocation.user_id,
        "resources": orjson.dumps(amounts(allocation.resources)).decode(),
        "claimed_at": allocation.claimed_at,
    }


class AllocationRow(msgspec.Struct, frozen=True):
    """What a server holds, and on which node (the provider's uuid)."""

    server_id: str
    host: str
    node_id: str
    generation: int
    project_id: str
    user_id: str
    resources: Mapping[str, int]


_FOUND = select(
    C.id, C.host, HOSTS.c.node_id, C.generation, C.project_id, C.user_id, C.resources
).join(HOSTS, HOSTS.c.id == C.host)


def find_allocation(connection: Connection, server_id: str) -> AllocationRow | None:
    """What a server holds; None for nothing."""
    one = connection.execute(_FOUND.where(C.id == server_id)).first()
    return None if one is None else AllocationRow(*one[:6], orjson.loads(one[6]))


def allocations_on(connection: Connection, host: str) -> list[AllocationRow]:
    """All that is held on a host, by server."""
    found = connection.execute(_FOUND.where(C.host == host).order_by(C.id))
    return [AllocationRow(*one[:6], orjson.loads(one[6])) for one in found]


project("allocation", ALLOCATIONS, row, VERSION)
