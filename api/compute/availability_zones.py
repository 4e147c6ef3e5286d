"""Availability zones: which there are for servers; for admins, the services in each."""

from __future__ import annotations

from typing import Any

from api.compute.fleet import heard_since
from api.compute.operation import Answer, Call, Operation
from api.policy import enforce
from projections.fleet.services import ServiceRow
from projections.fleet.zones import ZoneRow, compute_zones, list_zones
from projections.instants import microseconds

RULE = "os_compute_api:os-availability-zone:"


def index(call: Call) -> Answer:
    """Zones of compute hosts, and whether anything can be built there."""
    enforce(call.caller, f"{RULE}list")
    with call.services.engine.connect() as connection:
        zones = compute_zones(connection, heard_since(call.services))
    return Answer({"availabilityZoneInfo": [_view(zone, None) for zone in zones]})


def detail(call: Call) -> Answer:
    """All zones, the internal one too, with their hosts and services."""
    enforce(call.caller, f"{RULE}detail")
    with call.services.engine.connect() as connection:
        zones = list_zones(connection, heard_since(call.services))
    return Answer({"availabilityZoneInfo": [_view(zone, _hosts(zone)) for zone in zones]})


def _view(zone: ZoneRow, hosts: dict[str, Any] | None) -> dict[str, Any]:
    return {"zoneName": zone.name, "zoneState": {"available": zone.available}, "hosts": hosts}


def _hosts(zone: ZoneRow) -> dict[str, dict[str, Any]]:
    hosts: dict[str, dict[str, Any]] = {}
    for service in zone.services:
        hosts.setdefault(service.host, {})[service.binary] = _service(service)
    return hosts


def _service(service: ServiceRow) -> dict[str, Any]:
    return {
        "available": service.up,
        "active": not service.disabled,
        "updated_at": microseconds(service.updated_at),
    }


OPERATIONS = (
    Operation("GET", "/os-availability-zone", index),
    Operation("GET", "/os-availability-zone/detail", detail),
)
