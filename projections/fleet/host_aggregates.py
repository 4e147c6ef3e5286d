"""Host aggregates as rows, and who is in which availability zone. A deleted one stays as a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import orjson
from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Connection, Index, Text, any_, select

from events.fleet.host_aggregate import HostAggregate
from events.fleet.request import DEFAULT_ZONE
from projections.table import Row, project, projected_table

VERSION = 1

HOST_AGGREGATES = projected_table(
    "host_aggregates",
    Column("number", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("availability_zone", Text),
    Column("hosts", ARRAY(Text), nullable=False),
    Column("metadata", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger),
    Column("deleted", Boolean, nullable=False),
    Index("host_aggregates_by_number", "number"),
)
C = HOST_AGGREGATES.c


def row(aggregate: HostAggregate) -> Row:
    """The row of a host aggregate."""
    return {
        "number": aggregate.number,
        "name": aggregate.name,
        "availability_zone": aggregate.availability_zone,
        "hosts": list(aggregate.hosts),
        "metadata": orjson.dumps(aggregate.metadata).decode(),
        "created_at": aggregate.created_at,
        "updated_at": aggregate.updated_at,
        "deleted": aggregate.deleted,
    }


class AggregateRow(msgspec.Struct, frozen=True):
    """A host aggregate as found. ``number`` is the API's id, ``id`` its uuid (2.41); times in
    microseconds since 1970."""

    id: str
    number: int
    name: str
    availability_zone: str | None
    hosts: list[str]
    metadata: dict[str, str]
    created_at: int
    updated_at: int | None


COLUMNS = (
    C.id,
    C.number,
    C.name,
    C.availability_zone,
    C.hosts,
    C.metadata,
    C.created_at,
    C.updated_at,
)


def list_aggregates(connection: Connection) -> list[AggregateRow]:
    """All of them, in the order of their numbers."""
    found = connection.execute(select(*COLUMNS).where(~C.deleted).order_by(C.number))
    return [_aggregate(one) for one in found]


def find_aggregate(connection: Connection, number: int) -> AggregateRow | None:
    """The one of that number."""
    one = connection.execute(select(*COLUMNS).where(~C.deleted, C.number == number)).first()
    return None if one is None else _aggregate(one)


def _aggregate(one: Sequence[Any]) -> AggregateRow:
    id, number, name, zone, hosts, metadata, created_at, updated_at = one
    return AggregateRow(
        id, number, name, zone, list(hosts), orjson.loads(metadata), created_at, updated_at
    )


def zones_of_hosts(connection: Connection) -> dict[str, str]:
    """The zone of each host that an aggregate gives one; others are in ``DEFAULT_ZONE``."""
    zoned = select(C.availability_zone, C.hosts).where(~C.deleted, C.availability_zone.isnot(None))
    return {host: zone for zone, hosts in connection.execute(zoned) for host in hosts}


def zone_of_host(connection: Connection, host: str) -> str:
    """The availability zone of a host."""
    zone: str | None = connection.execute(
        select(C.availability_zone)
        .where(~C.deleted, C.availability_zone.isnot(None), any_(C.hosts) == host)
        .limit(1)
    ).scalar()
    return zone or DEFAULT_ZONE


project("host_aggregate", HOST_AGGREGATES, row, VERSION)
