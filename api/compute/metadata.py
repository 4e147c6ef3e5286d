"""A server's metadata: all of it, or one item."""

from __future__ import annotations

from api.compute import fields
from api.compute.faults import bad_request, not_found
from api.compute.operation import Answer, Call, Operation
from api.compute.server_access import find, is_admin, on_server
from api.compute.server_document import metadata_of
from api.compute.validation import Body, always, wrapped
from commands.compute.metadata import DeleteMetadataItem, MergeMetadata, ReplaceMetadata
from projections.compute.server_queries import ServerRow

RULE = "os_compute_api:server-metadata:"
ALL = "/servers/{server_id}/metadata"
ITEM = "/servers/{server_id}/metadata/{key}"

ITEMS_BODY = Body(wrapped("metadata", always(fields.METADATA)))
ITEM_BODY = Body(
    wrapped("meta", always({**fields.METADATA, "minProperties": 1, "maxProperties": 1}))
)


def index(call: Call, server: ServerRow) -> Answer:
    """All items."""
    return Answer({"metadata": metadata_of(server)})


def merge(call: Call, server: ServerRow) -> Answer:
    """Add or change items; all items as they are then."""
    items = call.body["metadata"]
    command = MergeMetadata(server_id=server.id, metadata=items, admin=is_admin(call))
    call.send(command, server.project_id)
    after = find(call, f"{RULE}create", deleted=True)  # by somebody else, at once
    return Answer({"metadata": metadata_of(after) | items})


def replace(call: Call, server: ServerRow) -> Answer:
    """These are all items."""
    items = call.body["metadata"]
    command = ReplaceMetadata(server_id=server.id, metadata=items, admin=is_admin(call))
    call.send(command, server.project_id)
    return Answer({"metadata": items})


def show(call: Call, server: ServerRow) -> Answer:
    """One item."""
    key, items = call.params["key"], metadata_of(server)
    if key not in items:
        raise not_found("Metadata item was not found")
    return Answer({"meta": {key: items[key]}})


def update(call: Call, server: ServerRow) -> Answer:
    """Set the item that the path names."""
    key, item = call.params["key"], call.body["meta"]
    if key not in item:
        raise bad_request("Request body and URI mismatch")
    command = MergeMetadata(server_id=server.id, metadata=item, admin=is_admin(call))
    call.send(command, server.project_id)
    return Answer({"meta": item})


def delete(call: Call, server: ServerRow) -> Answer:
    """Remove one item."""
    key = call.params["key"]
    command = DeleteMetadataItem(server_id=server.id, key=key, admin=is_admin(call))
    call.send(command, server.project_id)
    return Answer(status=204)


OPERATIONS = (
    Operation("GET", ALL, on_server(f"{RULE}index", index)),
    Operation("POST", ALL, on_server(f"{RULE}create", merge), body=ITEMS_BODY),
    Operation("PUT", ALL, on_server(f"{RULE}update_all", replace), body=ITEMS_BODY),
    Operation("GET", ITEM, on_server(f"{RULE}show", show)),
    Operation("PUT", ITEM, on_server(f"{RULE}update", update), body=ITEM_BODY),
    Operation("DELETE", ITEM, on_server(f"{RULE}delete", delete)),
)
