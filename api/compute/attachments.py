"""What is attached to a server: volumes, network interfaces, security groups.

Nothing is, as long as this cloud has no network and no volumes: the lists are empty, for clients
that read them to show or delete a server.
"""

from __future__ import annotations

from api.compute import fields
from api.compute.faults import not_found
from api.compute.operation import Answer, Call, Operation
from api.compute.server_access import on_server
from api.compute.validation import Property, Query
from projections.compute.server_queries import ServerRow

RULE = "os_compute_api:"
QUERY = Query(
    (Property("limit", fields.QUERY_LIMIT), Property("offset", fields.QUERY_LIMIT)),
    strict_since=75,
)


def volumes(call: Call, server: ServerRow) -> Answer:
    """No volumes."""
    return Answer({"volumeAttachments": []})


def volume(call: Call, server: ServerRow) -> Answer:
    """404."""
    raise not_found(f"Instance {server.id} is not attached to volume {call.params['volume_id']}")


def interfaces(call: Call, server: ServerRow) -> Answer:
    """No interfaces."""
    return Answer({"interfaceAttachments": []})


def interface(call: Call, server: ServerRow) -> Answer:
    """404."""
    raise not_found(f"Instance {server.id} does not have port {call.params['port_id']}")


def security_groups(call: Call, server: ServerRow) -> Answer:
    """No security groups."""
    return Answer({"security_groups": []})


VOLUMES = "/servers/{server_id}/os-volume_attachments"
INTERFACES = "/servers/{server_id}/os-interface"
GROUPS = "/servers/{server_id}/os-security-groups"
ON_VOLUMES, ON_INTERFACES = f"{RULE}os-volumes-attachments:", f"{RULE}os-attach-interfaces:"

OPERATIONS = (
    Operation("GET", VOLUMES, on_server(f"{ON_VOLUMES}index", volumes), query=QUERY),
    Operation("GET", f"{VOLUMES}/{{volume_id}}", on_server(f"{ON_VOLUMES}show", volume)),
    Operation("GET", INTERFACES, on_server(f"{ON_INTERFACES}list", interfaces)),
    Operation("GET", f"{INTERFACES}/{{port_id}}", on_server(f"{ON_INTERFACES}show", interface)),
    Operation("GET", GROUPS, on_server(f"{RULE}os-security-groups:list", security_groups)),
)
