"""One server: show, update, delete."""

from __future__ import annotations

from typing import Any

from api.compute import fields
from api.compute.faults import conflict
from api.compute.operation import Answer, Call, Operation
from api.compute.server_access import find, is_admin, on_server
from api.compute.server_document import whole
from api.compute.validation import Body, Property, object_of, wrapped
from api.compute.views import SHOW, UPDATE, ServerViews
from commands.compute.delete import DeleteServer
from commands.compute.rename import (
    ChangeAccessAddresses,
    ChangeDiskConfig,
    ChangeHostname,
    DescribeServer,
    PinZone,
    RenameServer,
)
from events.message import Command
from projections.compute.server_queries import ServerRow

UPDATE_BODY = Body(
    wrapped(
        "server",
        object_of(
            (
                Property("name", fields.NAME),
                Property("OS-DCF:diskConfig", fields.DISK_CONFIG),
                Property("accessIPv4", fields.IPV4),
                Property("accessIPv6", fields.IPV6),
                Property("description", fields.DESCRIPTION, 19),
                Property("hostname", fields.HOSTNAME, 90, 93),
                Property("hostname", fields.FQDN, 94),
                Property("pinned_availability_zone", {"type": ["string", "null"]}, 104),
            )
        ),
    )
)


def show(call: Call, server: ServerRow) -> Answer:
    """The whole view."""
    return Answer({"server": ServerViews(call, SHOW, (server.host,)).view(server)})


def update(call: Call, server: ServerRow) -> Answer:
    """Change what it is called; the view as it is then."""
    _check_zone(call.body["server"], whole(server))
    for command in _changes(server.id, call.body["server"]):
        call.send(command, server.project_id)
    changed = find(call, "os_compute_api:servers:update", deleted=True)  # by somebody else, at once
    return Answer({"server": ServerViews(call, UPDATE, (changed.host,)).view(changed)})


def _changes(server_id: str, body: dict[str, Any]) -> list[Command]:
    commands: list[Command] = []
    if "name" in body:
        commands.append(RenameServer(server_id=server_id, name=body["name"].strip()))
    if "description" in body:
        commands.append(DescribeServer(server_id=server_id, description=body["description"]))
    if "hostname" in body:
        commands.append(ChangeHostname(server_id=server_id, hostname=body["hostname"]))
    v4, v6 = body.get("accessIPv4"), body.get("accessIPv6")
    if v4 is not None or v6 is not None:
        v4, v6 = (text if text is None else fields.address(text) for text in (v4, v6))
        commands.append(
            ChangeAccessAddresses(server_id=server_id, access_ip_v4=v4, access_ip_v6=v6)
        )
    if "OS-DCF:diskConfig" in body:
        commands.append(
            ChangeDiskConfig(server_id=server_id, disk_config=body["OS-DCF:diskConfig"])
        )
    if "pinned_availability_zone" in body:
        zone = body["pinned_availability_zone"]
        commands.append(PinZone(server_id=server_id, availability_zone=zone))
    return commands


def _check_zone(body: dict[str, Any], server: dict[str, Any]) -> None:
    """A server is pinned to the zone where it is, or to none."""
    zone = body.get("pinned_availability_zone")
    if zone is not None and zone != server["OS-EXT-AZ:availability_zone"]:
        raise conflict(f"Server {server['id']} cannot be pinned to zone {zone}.")


def delete(call: Call, server: ServerRow) -> Answer:
    """204; the server is gone as soon as its host has removed it."""
    call.send(DeleteServer(server_id=server.id, admin=is_admin(call)), server.project_id)
    return Answer(status=204)


OPERATIONS = (
    Operation("GET", "/servers/{server_id}", on_server("os_compute_api:servers:show", show)),
    Operation(
        "PUT",
        "/servers/{server_id}",
        on_server("os_compute_api:servers:update", update),
        body=UPDATE_BODY,
    ),
    Operation("DELETE", "/servers/{server_id}", on_server("os_compute_api:servers:delete", delete)),
)
