"""Servers as rows: columns to filter and sort by, and the API's view ready-made.

``document`` is the server's body at the newest microversion for an admin, without links and
host_status, and without user data: it says where that is kept (``SECRETS``). The API takes fields
away and has to look nothing else up. Deleted servers stay as rows (``deleted``) for admins who ask
for them.
"""

from __future__ import annotations

from hashlib import sha224
from typing import Any

import msgspec
import orjson
from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Text, text
from sqlalchemy.dialects.postgresql import ARRAY

from events.compute.server import Fault, Server
from projections.compute.status import FAULT, PROGRESS, status_of
from projections.instants import microseconds, seconds_z
from projections.table import Row, project, projected_table

VERSION = 3

SECRETS = "secrets"
"""Field of the document that no view shows: a ``SecretsRef``, or null."""

SERVERS = projected_table(
    "servers",
    Column("project_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("hostname", Text, nullable=False),
    Column("description", Text),
    Column("vm_state", Text, nullable=False),
    Column("task_state", Text),
    Column("power_state", Integer, nullable=False),
    Column("host", Text),
    Column("node", Text),
    Column("image_id", Text, nullable=False),
    Column("flavor_id", Text, nullable=False),
    Column("vcpus", Integer, nullable=False),
    Column("ram_mib", Integer, nullable=False),
    Column("availability_zone", Text),
    Column("key_name", Text),
    Column("config_drive", Boolean, nullable=False),
    Column("reservation_id", Text, nullable=False),
    Column("launch_index", Integer, nullable=False),
    Column("locked_by", Text),
    Column("disk_config", Text, nullable=False),
    Column("access_ip_v4", Text, nullable=False),
    Column("access_ip_v6", Text, nullable=False),
    Column("tags", ARRAY(Text), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("launched_at", BigInteger),
    Column("terminated_at", BigInteger),
    Column("deleted", Boolean, nullable=False),
    Column("secrets_id", Text),
    Column("document", Text, nullable=False),
    Index(
        "servers_of_project", "project_id", "created_at", "id", postgresql_where=text("NOT deleted")
    ),
    Index("servers_live", "created_at", "id", postgresql_where=text("NOT deleted")),
    Index("servers_changed", "project_id", "updated_at"),
    Index("servers_of_host", "host", postgresql_where=text("NOT deleted")),
)


def instance_name(server_id: str) -> str:
    """The guest's name on its hypervisor: Nova's template ``instance-%(uuid)s`` (there is no row
    number here for ``instance-%08x``)."""
    return f"instance-{server_id}"


def host_id(project_id: str, host: str | None) -> str:
    """What a tenant sees of a host: equal for equal hosts, and no more."""
    return sha224(f"{project_id}{host}".encode()).hexdigest() if host else ""


def row(server: Server) -> Row:
    """The row of a server."""
    return {
        "project_id": server.project_id,
        "user_id": server.user_id,
        "name": server.name,
        "hostname": server.hostname,
        "description": server.description,
        "vm_state": server.vm_state,
        "task_state": server.task_state,
        "power_state": server.power_state,
        "host": server.host,
        "node": server.node,
        "image_id": server.image.image_id if server.image else "",
        "flavor_id": server.flavor.flavor_id,
        "vcpus": server.flavor.vcpus,
        "ram_mib": server.flavor.ram_mib,
        "availability_zone": zone(server),
        "key_name": server.public_key.name if server.public_key else None,
        "config_drive": server.config_drive,
        "reservation_id": server.reservation_id,
        "launch_index": server.launch_index,
        "locked_by": server.locked_by,
        "disk_config": server.disk_config,
        "access_ip_v4": server.access_ip_v4,
        "access_ip_v6": server.access_ip_v6,
        "tags": list(server.tags),
        "created_at": server.created_at,
        "updated_at": server.updated_at,
        "launched_at": server.launched_at,
        "terminated_at": server.terminated_at,
        "deleted": server.vm_state == "deleted",
        "secrets_id": server.secrets.secrets_id if server.secrets else None,
        "document": orjson.dumps(document(server)).decode(),
    }


def zone(server: Server) -> str:
    """The availability zone shown: the host's when placed, before that the requested one."""
    if server.host is not None:
        return server.availability_zone or "nova"
    return server.requested_zone or ""


def document(server: Server) -> dict[str, Any]:
    """The body at the newest microversion, all fields, no links."""
    status = status_of(server.vm_state, server.task_state)
    shown: dict[str, Any] = {
        "id": server.server_id,
        "name": server.name,
        "status": status,
        "tenant_id": server.project_id,
        "user_id": server.user_id,
        "created": seconds_z(server.created_at),
        "updated": seconds_z(server.updated_at),
        "hostId": host_id(server.project_id, server.host),
        "image": _image(server),
        "flavor": _flavor(server),
        "addresses": {},
        "accessIPv4": server.access_ip_v4,
        "accessIPv6": server.access_ip_v6,
        "metadata": server.metadata,
        "tags": server.tags,
        "description": server.description,
        "key_name": server.public_key.name if server.public_key else None,
        "config_drive": "True" if server.config_drive else "",
        "locked": server.locked,
        "locked_reason": server.locked_reason,
        "server_groups": [],
        "scheduler_hints": {
            hint: values[0] if len(values) == 1 else values
            for hint, values in server.scheduler_hints.items()
        },
        "trusted_image_certificates": None,
        "pinned_availability_zone": None if server.forced_host else server.requested_zone,
        "os-extended-volumes:volumes_attached": [],
        SECRETS: msgspec.structs.asdict(server.secrets) if server.secrets else None,
    }
    shown.update(_extensions(server))
    if server.security_groups:
        shown["security_groups"] = [{"name": name} for name in server.security_groups]
    if status in PROGRESS:
        shown["progress"] = server.progress or 0
    if status in FAULT and server.fault is not None:
        shown["fault"] = _fault(server.fault)
    return shown


def _extensions(server: Server) -> dict[str, Any]:
    launched, ended = server.launched_at, server.terminated_at
    return {
        "OS-DCF:diskConfig": server.disk_config,
        "OS-EXT-AZ:availability_zone": zone(server),
        "OS-EXT-STS:vm_state": server.vm_state,
        "OS-EXT-STS:task_state": server.task_state,
        "OS-EXT-STS:power_state": server.power_state,
        "OS-SRV-USG:launched_at": microseconds(launched) if launched is not None else None,
        "OS-SRV-USG:terminated_at": microseconds(ended) if ended is not None else None,
        "OS-EXT-SRV-ATTR:host": server.host,
        "OS-EXT-SRV-ATTR:hypervisor_hostname": server.node,
        "OS-EXT-SRV-ATTR:instance_name": instance_name(server.server_id),
        "OS-EXT-SRV-ATTR:hostname": server.hostname,
        "OS-EXT-SRV-ATTR:kernel_id": "",
        "OS-EXT-SRV-ATTR:ramdisk_id": "",
        "OS-EXT-SRV-ATTR:launch_index": server.launch_index,
        "OS-EXT-SRV-ATTR:reservation_id": server.reservation_id,
        "OS-EXT-SRV-ATTR:root_device_name": "/dev/vda",
    }


def _image(server: Server) -> dict[str, Any] | str:
    if server.image is None:
        return ""
    return {"id": server.image.image_id, "properties": server.image.properties}


def _flavor(server: Server) -> dict[str, Any]:
    flavor = server.flavor
    return {
        "original_name": flavor.name,
        "vcpus": flavor.vcpus,
        "ram": flavor.ram_mib,
        "disk": flavor.root_gib,
        "ephemeral": flavor.ephemeral_gib,
        "swap": flavor.swap_mib,
        "extra_specs": flavor.extra_specs,
    }


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "code": fault.code,
        "created": seconds_z(fault.created_at),
        "message": fault.message,
        "details": fault.details,
    }


project("server", SERVERS, row, VERSION)
