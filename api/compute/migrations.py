"""Migrations. There are none: no server is moved between hosts yet."""

from __future__ import annotations

from api.compute import fields
from api.compute.faults import bad_request, not_found
from api.compute.operation import Answer, Call, Operation
from api.compute.server_access import on_server
from api.compute.validation import Property, Query
from api.policy import enforce
from projections.compute.server_queries import ServerRow

RULE = "os_compute_api:os-migrations:"
SERVER_RULE = "os_compute_api:servers:migrations:"
FILTERS = (
    *("hidden", "host", "instance_uuid", "migration_type", "source_compute", "status"),
    "in_progress",
)
QUERY = Query(
    (
        *(Property(name, fields.QUERY_TEXT) for name in FILTERS),
        Property("limit", fields.QUERY_LIMIT, since=59),
        Property("marker", fields.QUERY_TEXT, since=59),
        Property("changes-since", fields.QUERY_INSTANT, since=59),
        Property("changes-before", fields.QUERY_INSTANT, since=66),
        Property("user_id", fields.QUERY_TEXT, since=80),
        Property("project_id", fields.QUERY_TEXT, since=80),
    ),
    strict_since=59,
)


def index(call: Call) -> Answer:
    """No migrations, whatever is asked for."""
    enforce(call.caller, f"{RULE}index")
    marker = call.last("marker")
    if marker is not None:
        raise bad_request(f"Marker {marker} could not be found.")
    return Answer({"migrations": []})


def of_server(call: Call, server: ServerRow) -> Answer:
    """No migrations."""
    return Answer({"migrations": []})


def show(call: Call, server: ServerRow) -> Answer:
    """404."""
    id = call.params["migration_id"]
    raise not_found(f"Migration {id} not found for instance {server.id}")


OF_SERVER = "/servers/{server_id}/migrations"

OPERATIONS = (
    Operation("GET", "/os-migrations", index, query=QUERY),
    Operation("GET", OF_SERVER, on_server(f"{SERVER_RULE}index", of_server), since=23),
    Operation(
        "GET", f"{OF_SERVER}/{{migration_id}}", on_server(f"{SERVER_RULE}show", show), since=23
    ),
)
