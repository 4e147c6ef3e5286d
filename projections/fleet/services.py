"""Services as ``os-services`` shows them: the compute services, and others that send heartbeats.

A compute service's state comes from the events, so all readers and the scheduler agree on it.
The others are up while they were heard within Nova's ``service_down_time``.
"""

from __future__ import annotations

import time
import uuid
import zlib
from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection, and_, select

from events.fleet.heartbeat import API, COMPUTE, PROJECTOR
from events.fleet.request import DEFAULT_ZONE
from projections.fleet.heartbeats import SERVICE_HEARTBEATS
from projections.fleet.host_aggregates import zones_of_hosts
from projections.fleet.hosts import HOSTS

INTERNAL_ZONE = "internal"
"""Zone of services that are no compute services (internal_service_availability_zone)."""

NUMBERS_FROM = 1_000_000_000
"""Numbers of those services: above all numbers that hosts are given, one after the other."""

_NAMESPACE = uuid.UUID("8f4f6f0e-3f0b-5a0e-9d6e-6a2f6d1c7a11")

H, B = HOSTS.c, SERVICE_HEARTBEATS.c


class ServiceRow(msgspec.Struct, frozen=True):
    """A service. ``number`` is its id before 2.53, ``id`` from then on; ``updated_at`` is when it
    was last heard or changed, in microseconds since 1970."""

    id: str
    number: int
    binary: str
    host: str
    zone: str
    disabled: bool
    disabled_reason: str | None
    up: bool
    forced_down: bool
    updated_at: int
    version: str


def heard_since(down_time_s: float) -> int:
    """Microseconds since 1970: who was not heard since then is down, ``down_time_s`` being the
    site's ``service_down_time_s``."""
    return time.time_ns() // 1000 - int(down_time_s * 1_000_000)


def list_services(
    connection: Connection,
    heard_since: int,
    *,
    host: str | None = None,
    binary: str | None = None,
) -> list[ServiceRow]:
    """All services, perhaps only those of a host or of a binary name; by number.

    ``heard_since``, microseconds since 1970: who was not heard since then is down.
    """
    services: list[ServiceRow] = []
    if binary in (None, COMPUTE):
        services += _compute_services(connection, host)
    if binary != COMPUTE:
        services += _other_services(connection, host, binary, heard_since)
    return services


def find_service(connection: Connection, id: str) -> ServiceRow | None:
    """The compute service with that uuid or number."""
    wanted = H.service_id == id
    if id.isdecimal() and len(id) < 19:
        wanted = wanted | (H.number == int(id))
    found = _compute_services(connection, None, wanted)
    return found[0] if found else None


def _compute_services(
    connection: Connection, host: str | None, wanted: object = None
) -> list[ServiceRow]:
    heard = and_(B.host == H.id, B.binary == COMPUTE)
    statement = (
        select(
            H.id,
            H.number,
            H.service_id,
            H.disabled,
            H.disabled_reason,
            H.up,
            H.forced_down,
            H.changed_at,
            B.last_seen_at,
            B.version,
        )
        .select_from(HOSTS.outerjoin(SERVICE_HEARTBEATS, heard))
        .where(~H.deleted)
        .order_by(H.number)
    )
    if host is not None:
        statement = statement.where(H.id == host)
    if wanted is not None:
        statement = statement.where(wanted)  # type: ignore[arg-type]
    zones: Mapping[str, str] = zones_of_hosts(connection)
    return [
        ServiceRow(
            id=row.service_id,
            number=row.number,
            binary=COMPUTE,
            host=row.id,
            zone=zones.get(row.id, DEFAULT_ZONE),
            disabled=row.disabled,
            disabled_reason=row.disabled_reason,
            up=row.up,
            forced_down=row.forced_down,
            updated_at=max(row.changed_at, row.last_seen_at or 0),
            version=row.version or "",
        )
        for row in connection.execute(statement)
    ]


def _other_services(
    connection: Connection, host: str | None, binary: str | None, oldest: int
) -> list[ServiceRow]:
    shown = B.binary.not_in((COMPUTE, API, PROJECTOR))
    statement = select(SERVICE_HEARTBEATS).where(shown).order_by(B.binary, B.host)
    if host is not None:
        statement = statement.where(B.host == host)
    if binary is not None:
        statement = statement.where(B.binary == binary)
    return [
        ServiceRow(
            id=str(uuid.uuid5(_NAMESPACE, f"{row.binary}/{row.host}")),
            number=NUMBERS_FROM + zlib.crc32(f"{row.binary}/{row.host}".encode()) % NUMBERS_FROM,
            binary=row.binary,
            host=row.host,
            zone=INTERNAL_ZONE,
            disabled=False,
            disabled_reason=None,
            up=row.last_seen_at >= oldest,
            forced_down=False,
            updated_at=row.last_seen_at,
            version=row.version,
        )
        for row in connection.execute(statement)
    ]


def troubles(connection: Connection, since: int) -> list[str]:
    """Return what services that were heard after ``since`` (microseconds) cannot do by themselves,
    one sentence each, with the service's name and host."""
    statement = select(B.binary, B.host, B.troubles).where(B.last_seen_at > since)
    return [
        f"{binary} on {host}: {sentence}"
        for binary, host, encoded in connection.execute(statement.order_by(B.binary, B.host))
        for sentence in msgspec.json.decode(encoded, type=list[str])
    ]
