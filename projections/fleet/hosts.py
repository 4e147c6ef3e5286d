"""Hosts as rows: what the lists of services and hypervisors filter, sort and sum by.

``document`` has a hypervisor's fields of all microversions (``os-hypervisors`` detail), except
those that are known only when it is read: ``uptime`` and ``servers``. Amounts are Nova's:
what is used counts the reservation in. A deleted host stays as a row.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import BigInteger, Boolean, Column, Connection, Index, Integer, Text, select

from events.fleet.host import Host
from events.fleet.inventory import DISK_GB, MEMORY_MB, VCPU, Inventory
from projections.table import Row, project, projected_table

VERSION = 2

HOSTS = projected_table(
    "hosts",
    Column("number", BigInteger, nullable=False),
    Column("node_id", Text, nullable=False),
    Column("service_id", Text, nullable=False),
    Column("public_key", Text, nullable=False),
    Column("hostname", Text, nullable=False),
    Column("up", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("disabled_reason", Text),
    Column("forced_down", Boolean, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("servers", Integer, nullable=False),
    Column("vcpus", BigInteger, nullable=False),
    Column("vcpus_used", BigInteger, nullable=False),
    Column("memory_mb", BigInteger, nullable=False),
    Column("memory_mb_used", BigInteger, nullable=False),
    Column("local_gb", BigInteger, nullable=False),
    Column("local_gb_used", BigInteger, nullable=False),
    Column("disk_available_least", BigInteger),
    Column("booted_at", BigInteger),
    Column("registered_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Index("hosts_by_number", "number"),
    Index("hosts_by_node", "node_id"),
    Index("hosts_by_service", "service_id"),
)

_NOTHING = Inventory(total=0)


def row(host: Host) -> Row:
    """The row of a host. ``up`` is what the API calls the service's state."""
    amounts = _amounts(host)
    return {
        "number": host.number,
        "node_id": host.node_id,
        "service_id": host.service_id,
        "public_key": host.public_key,
        "hostname": host.hypervisor.hostname,
        "up": host.alive,
        "disabled": host.disabled,
        "disabled_reason": host.disabled_reason,
        "forced_down": host.forced_down,
        "deleted": host.deleted,
        "servers": host.servers,
        "vcpus": amounts["vcpus"],
        "vcpus_used": amounts["vcpus_used"],
        "memory_mb": amounts["memory_mb"],
        "memory_mb_used": amounts["memory_mb_used"],
        "local_gb": amounts["local_gb"],
        "local_gb_used": amounts["local_gb_used"],
        "disk_available_least": host.hypervisor.disk_available_least_gib,
        "booted_at": host.hypervisor.booted_at,
        "registered_at": host.registered_at,
        "changed_at": host.changed_at,
        "document": orjson.dumps(document(host, amounts)).decode(),
    }


def _amounts(host: Host) -> dict[str, int]:
    vcpus = host.inventories.get(VCPU, _NOTHING)
    ram = host.inventories.get(MEMORY_MB, _NOTHING)
    disk = host.inventories.get(DISK_GB, _NOTHING)
    return {
        "vcpus": vcpus.total,
        "vcpus_used": vcpus.reserved + host.used_vcpus + host.used("PCPU"),
        "memory_mb": ram.total,
        "memory_mb_used": ram.reserved + host.used_ram_mib,
        "local_gb": disk.total,
        "local_gb_used": disk.reserved + host.used_disk_gib,
        "free_ram_mb": ram.total - ram.reserved - host.used_ram_mib,
        "free_disk_gb": disk.total - disk.reserved - host.used_disk_gib,
    }


def document(host: Host, amounts: dict[str, int]) -> dict[str, Any]:
    """A hypervisor's body: ``id`` and ``service.id`` are UUIDs (2.53), ``cpu_info`` an object."""
    facts = host.hypervisor
    return {
        "id": host.node_id,
        "hypervisor_hostname": facts.hostname,
        "state": "up" if host.alive else "down",
        "status": "disabled" if host.disabled else "enabled",
        "hypervisor_type": facts.type,
        "hypervisor_version": facts.version,
        "host_ip": facts.host_ip,
        "service": {
            "id": host.service_id,
            "host": host.host,
            "disabled_reason": host.disabled_reason,
        },
        **amounts,
        "current_workload": 0,
        "running_vms": host.servers,
        "disk_available_least": facts.disk_available_least_gib,
        "cpu_info": _json(facts.cpu_info),
    }


def host_names(connection: Connection) -> list[str]:
    """The names of all hosts that are registered and not deleted, sorted."""
    statement = select(HOSTS.c.id).where(~HOSTS.c.deleted).order_by(HOSTS.c.id)
    return list(connection.execute(statement).scalars())


@lru_cache(maxsize=1024)
def _json(text: str) -> Any:
    """What a JSON text says. Remembered: a row is made for each claim, the text stays the same."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}


project("host", HOSTS, row, VERSION)
