"""Where a new server is asked to be: zone, host, hints.

``zone:host`` and ``zone:host:node`` force a host past the scheduler's filters, in whatever zone
it is, and are for admins;
``host`` and ``hypervisor_hostname`` (2.74) ask for one through them.
"""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from api.compute.faults import bad_request
from api.compute.fleet import available_zones, host_of_node, is_host
from api.compute.operation import Call
from api.policy import enforce


class Placement(msgspec.Struct, frozen=True):
    """What is asked for."""

    zone: str | None
    host: str | None
    forced: bool
    hints: dict[str, list[str]]


def placement(call: Call, body: dict[str, Any], hints: dict[str, Any]) -> Placement:
    """Read and check it. Raises 400 or 403."""
    zone, host, forced = _zone(call, body.get("availability_zone"))
    if "host" in body or "hypervisor_hostname" in body:
        if forced:
            raise bad_request("Unknown combination of availability_zone with a host and host.")
        enforce(call.caller, "compute:servers:create:requested_destination")
        host = _requested(call, body)
    if "group" in hints:
        raise bad_request(f"Instance group {hints['group']} could not be found.")
    return Placement(zone, host, forced, {name: _texts(value) for name, value in hints.items()})


def _zone(call: Call, given: str | None) -> tuple[str | None, str | None, bool]:
    """(zone, host, forced) of ``availability_zone``. A forced host comes with its own zone."""
    if given is None:
        return None, None, False
    parts = given.split(":")
    if len(parts) > 3:
        raise bad_request(f"Unable to parse availability_zone {given}")
    zone, host, node = [*parts, "", ""][:3]
    if len(parts) > 1:
        enforce(call.caller, "os_compute_api:servers:create:forced_host")
        named = host or host_of_node(call.services.engine, node) or node
        if not named or not is_host(call.services.engine, named):
            raise bad_request(f"Compute host {host or node} could not be found.")
        return None, named, True
    if zone not in available_zones(call.services):
        raise bad_request("The requested availability zone is not available")
    return zone, None, False


def _requested(call: Call, body: dict[str, Any]) -> str:
    engine = call.services.engine
    host, node = body.get("host"), body.get("hypervisor_hostname")
    found = host if node is None else host_of_node(engine, node)
    if found is None or (host is not None and found != host) or not is_host(engine, found):
        raise bad_request(f"Compute host {host or node} could not be found.")
    return found


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [v if isinstance(v, str) else orjson.dumps(v).decode() for v in values]
