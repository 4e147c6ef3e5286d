"""Server groups. There are none: nothing decides on them yet, so making one is refused."""

from __future__ import annotations

from api.compute import fields
from api.compute.faults import not_found, not_implemented
from api.compute.operation import Answer, Call, Operation
from api.compute.validation import Property, Query
from api.policy import enforce

RULE = "os_compute_api:os-server-groups:"
QUERY = Query(
    (
        Property("all_projects", fields.QUERY_TEXT),
        Property("limit", fields.QUERY_LIMIT),
        Property("offset", fields.QUERY_LIMIT),
    ),
    strict_since=75,
)


def index(call: Call) -> Answer:
    """No groups."""
    enforce(call.caller, f"{RULE}index")
    if call.first("all_projects") is not None and call.caller.is_admin:
        enforce(call.caller, f"{RULE}index:all_projects")
    return Answer({"server_groups": []})


def create(call: Call) -> Answer:
    """501."""
    enforce(call.caller, f"{RULE}create")
    raise not_implemented(
        "Server groups are not supported by this cloud yet. The scheduler hints same_host and "
        "different_host keep servers together or apart."
    )


def show(call: Call) -> Answer:
    """404."""
    enforce(call.caller, f"{RULE}show")
    raise not_found(f"Instance group {call.params['group_id']} could not be found.")


def delete(call: Call) -> Answer:
    """404."""
    enforce(call.caller, f"{RULE}delete")
    raise not_found(f"Instance group {call.params['group_id']} could not be found.")


ONE = "/os-server-groups/{group_id}"

OPERATIONS = (
    Operation("GET", "/os-server-groups", index, query=QUERY),
    Operation("POST", "/os-server-groups", create),
    Operation("GET", ONE, show),
    Operation("DELETE", ONE, delete),
)
