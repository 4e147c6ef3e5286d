"""Availability zones as ``os-availability-zone`` shows them.

A zone is available while one of its compute services is enabled and up. The internal zone
holds the services that are no compute services; plain lists leave it out.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from events.fleet.heartbeat import COMPUTE
from projections.fleet.services import ServiceRow, list_services


class ZoneRow(msgspec.Struct, frozen=True):
    """A zone with the services in it."""

    name: str
    available: bool
    services: list[ServiceRow]


def list_zones(connection: Connection, heard_since: int) -> list[ZoneRow]:
    """All zones that have services, by name. ``heard_since``: see ``list_services``."""
    members: dict[str, list[ServiceRow]] = {}
    for service in list_services(connection, heard_since):
        members.setdefault(service.zone, []).append(service)
    return [
        ZoneRow(zone, any(map(_serves, members[zone])), members[zone]) for zone in sorted(members)
    ]


def compute_zones(connection: Connection, heard_since: int) -> list[ZoneRow]:
    """The zones that servers can be in."""
    return [
        zone
        for zone in list_zones(connection, heard_since)
        if any(service.binary == COMPUTE for service in zone.services)
    ]


def _serves(service: ServiceRow) -> bool:
    return service.up and not service.disabled
