"""A server's tags, from 2.26 on."""

from __future__ import annotations

import re

from api.compute import fields
from api.compute.faults import bad_request, not_found
from api.compute.operation import Answer, Call, Operation
from api.compute.server_access import on_server
from api.compute.server_document import tags_of
from api.compute.validation import Body, always, wrapped
from commands.compute.tags import AddTag, RemoveTag, ReplaceTags
from projections.compute.server_queries import ServerRow

RULE = "os_compute_api:os-server-tags:"
ALL = "/servers/{server_id}/tags"
ONE = "/servers/{server_id}/tags/{tag}"
SINCE = 26

BODY = Body(wrapped("tags", always(fields.TAGS)))


def index(call: Call, server: ServerRow) -> Answer:
    """All tags."""
    return Answer({"tags": tags_of(server)})


def replace(call: Call, server: ServerRow) -> Answer:
    """These are all tags."""
    tags = list(dict.fromkeys(call.body["tags"]))
    call.send(ReplaceTags(server_id=server.id, tags=tags), server.project_id)
    return Answer({"tags": tags})


def clear(call: Call, server: ServerRow) -> Answer:
    """No tags."""
    call.send(ReplaceTags(server_id=server.id, tags=[]), server.project_id)
    return Answer(status=204)


def show(call: Call, server: ServerRow) -> Answer:
    """204 when the server has this tag."""
    tag = call.params["tag"]
    if tag not in tags_of(server):
        raise not_found(f"Server {server.id} has no tag '{tag}'")
    return Answer(status=204)


def add(call: Call, server: ServerRow) -> Answer:
    """201, or 204 when it was there already."""
    tag = call.params["tag"]
    if not 1 <= len(tag) <= fields.TAG["maxLength"] or not re.match(fields.TAG["pattern"], tag):
        raise bad_request(
            f"Tag '{tag}' is invalid. It must be a non empty string without characters '/' and ','."
            " Maximum length is 60 characters"
        )
    if tag in tags_of(server):
        return Answer(status=204)
    call.send(AddTag(server_id=server.id, tag=tag), server.project_id)
    return Answer(status=201, headers={"Location": call.link(f"/servers/{server.id}/tags/{tag}")})


def remove(call: Call, server: ServerRow) -> Answer:
    """Remove one tag."""
    call.send(RemoveTag(server_id=server.id, tag=call.params["tag"]), server.project_id)
    return Answer(status=204)


OPERATIONS = (
    Operation("GET", ALL, on_server(f"{RULE}index", index), SINCE),
    Operation("PUT", ALL, on_server(f"{RULE}update_all", replace), SINCE, body=BODY),
    Operation("DELETE", ALL, on_server(f"{RULE}delete_all", clear), SINCE),
    Operation("GET", ONE, on_server(f"{RULE}show", show), SINCE),
    Operation("PUT", ONE, on_server(f"{RULE}update", add), SINCE),
    Operation("DELETE", ONE, on_server(f"{RULE}delete", remove), SINCE),
)
