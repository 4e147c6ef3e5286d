"""Compute hosts as they were shown up to 2.42: services by host, and what projects use on one."""

from __future__ import annotations

from collections import Counter
from typing import Any

from api.compute import fields
from api.compute.faults import bad_request, not_found, not_implemented
from api.compute.fleet import heard_since
from api.compute.operation import Answer, Call, Operation, Run
from api.compute.validation import Body, Property, Query, object_of
from api.policy import enforce
from commands.fleet.service import DisableService, EnableService
from events.fleet.inventory import DISK_GB, MEMORY_MB, VCPU
from events.fleet.request import SHARD
from projections.fleet.allocations import allocations_on
from projections.fleet.hypervisors import HypervisorRow, hypervisor_of
from projections.fleet.services import list_services

RULE = "os_compute_api:os-hosts:"
UNTIL = 42
SWITCH = {
    "type": "string",
    "enum": [word for on in ("enable", "disable") for word in (on, on.title(), on.upper())],
}

QUERY = Query((Property("service", fields.QUERY_FILTER), Property("zone", fields.QUERY_FILTER)))
UPDATE = Body(object_of((Property("status", SWITCH), Property("maintenance_mode", SWITCH))))


def index(call: Call) -> Answer:
    """All services: host, what runs there (without ``nova-``), zone."""
    enforce(call.caller, f"{RULE}list")
    with call.services.engine.connect() as connection:
        services = list_services(connection, heard_since(call.services))
    rows = [
        {"host_name": s.host, "service": s.binary.removeprefix("nova-"), "zone": s.zone}
        for s in services
    ]
    for parameter in ("zone", "service"):
        if (wanted := call.last(parameter)) is not None:
            rows = [row for row in rows if row[parameter] == wanted]
    return Answer({"hosts": rows})


def _found(call: Call) -> HypervisorRow:
    name = call.params["host"]
    with call.services.engine.connect() as connection:
        row = hypervisor_of(connection, name)
    if row is None or row.host != name:
        raise not_found(f"Compute host {name} could not be found.")
    return row


def show(call: Call) -> Answer:
    """What a host has, what is used, and by which projects."""
    enforce(call.caller, f"{RULE}show")
    row = _found(call)
    with call.services.engine.connect() as connection:
        held = allocations_on(connection, row.host)
    document = row.document
    total = (document["vcpus"], document["memory_mb"], document["local_gb"])
    used = (document["vcpus_used"], document["memory_mb_used"], document["local_gb_used"])
    by_project: dict[str, Counter[str]] = {}
    everyone: Counter[str] = Counter()
    for allocation in held:
        by_project.setdefault(allocation.project_id, Counter()).update(allocation.resources)
        everyone.update(allocation.resources)
    rows = [
        ("(total)", total),
        ("(used_now)", used),
        ("(used_max)", _amounts(everyone)),
        *((project, _amounts(by_project[project])) for project in sorted(by_project)),
    ]
    return Answer({"host": [_resource(row.host, project, amounts) for project, amounts in rows]})


def _amounts(resources: Counter[str]) -> tuple[int, int, int]:
    return resources[VCPU], resources[MEMORY_MB], resources[DISK_GB]


def _resource(host: str, project: str, amounts: tuple[int, int, int]) -> dict[str, Any]:
    cpu, memory_mb, disk_gb = amounts
    return {
        "resource": {
            "host": host,
            "project": project,
            "cpu": cpu,
            "memory_mb": memory_mb,
            "disk_gb": disk_gb,
        }
    }


def update(call: Call) -> Answer:
    """Put a host into scheduling or take it out."""
    enforce(call.caller, f"{RULE}update")
    if "maintenance_mode" in call.body:
        raise not_implemented("Virt driver does not implement host maintenance mode.")
    if "status" not in call.body:
        raise bad_request("Invalid input. 'status' is missing.")
    host = _found(call).host
    enable = call.body["status"].lower() == "enable"
    call.send((EnableService if enable else DisableService)(host=host), SHARD)
    return Answer({"host": host, "status": "enabled" if enable else "disabled"})


def power(rule: str) -> Run:
    """501: Nova's libvirt driver has no power actions on hosts either."""

    def run(call: Call) -> Answer:
        enforce(call.caller, f"{RULE}{rule}")
        _found(call)
        raise not_implemented("Virt driver does not implement host power management.")

    return run


ONE = "/os-hosts/{host}"

OPERATIONS = (
    Operation("GET", "/os-hosts", index, until=UNTIL, query=QUERY),
    Operation("GET", ONE, show, until=UNTIL),
    Operation("PUT", ONE, update, until=UNTIL, body=UPDATE),
    Operation("GET", f"{ONE}/reboot", power("reboot"), until=UNTIL),
    Operation("GET", f"{ONE}/shutdown", power("shutdown"), until=UNTIL),
    Operation("GET", f"{ONE}/startup", power("start"), until=UNTIL),
)
