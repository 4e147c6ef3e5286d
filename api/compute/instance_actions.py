"""What was done to a server: its actions and their events, as the projection recorded them.

From 2.21 on a deleted server's too. Admins see hosts and reasons; others what Nova shows them.
"""

from __future__ import annotations

from typing import Any

from api.compute import fields
from api.compute.faults import bad_request, not_found
from api.compute.operation import Answer, Call, Operation
from api.compute.paging import limit_of, next_links
from api.compute.server_access import find
from api.compute.validation import Property, Query
from api.policy import allowed
from projections.compute import action_queries as queries
from projections.instants import microseconds, parse

RULE = "os_compute_api:os-instance-actions:"
DELETED_TOO = 21
PAGED = 58

QUERY = Query(
    (
        Property("limit", fields.QUERY_LIMIT, PAGED),
        Property("marker", fields.QUERY_TEXT, PAGED),
        Property("changes-since", fields.QUERY_INSTANT, PAGED),
        Property("changes-before", fields.QUERY_INSTANT, 66),
    ),
    strict_since=PAGED,
)


def index(call: Call) -> Answer:
    """Newest first."""
    server = find(call, f"{RULE}list", deleted=call.version >= DELETED_TOO)
    since, before = call.last("changes-since"), call.last("changes-before")
    if since and before and parse(since) > parse(before):
        raise bad_request("The value of changes-since must be less than or equal to changes-before")
    try:
        found = queries.list_actions(
            call.services.engine,
            server.id,
            limit=limit_of(call),
            marker=call.last("marker"),
            since=parse(since) if since else None,
            before=parse(before) if before else None,
        )
    except queries.UnknownMarker as error:
        raise bad_request(f"marker [{error}] not found") from None
    body: dict[str, Any] = {"instanceActions": [_action(call, action) for action in found]}
    if call.version >= PAGED:
        path = f"/servers/{server.id}/os-instance-actions"
        following = next_links(call, path, [a.request_id for a in found], limit_of(call))
        if following:
            body["links"] = following
    return Answer(body)


def show(call: Call) -> Answer:
    """One action with its events."""
    server = find(call, f"{RULE}show", deleted=call.version >= DELETED_TOO)
    request_id = call.params["request_id"]
    action = queries.find_action(call.services.engine, server.id, request_id)
    if action is None:
        raise not_found(f"Action for request_id {request_id} on instance {server.id} not found")
    shown = _action(call, action)
    detailed = allowed(call.caller, f"{RULE}events", server.project_id)
    if detailed or call.version >= 51:
        events = queries.list_events(call.services.engine, server.id, request_id)
        shown["events"] = [_event(call, event, server.project_id) for event in events]
    return Answer({"instanceAction": shown})


def _action(call: Call, action: queries.ActionRow) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "action": action.action,
        "instance_uuid": action.server_id,
        "request_id": action.request_id,
        "user_id": action.user_id,
        "project_id": action.project_id,
        "start_time": microseconds(action.start_time),
        "message": action.message,
    }
    if call.version >= PAGED:
        shown["updated_at"] = microseconds(action.updated_at)
    return shown


def _event(call: Call, event: queries.EventRow, project_id: str) -> dict[str, Any]:
    end = event.finish_time
    shown: dict[str, Any] = {
        "event": event.event,
        "start_time": microseconds(event.start_time),
        "finish_time": microseconds(end) if end is not None else None,
        "result": event.result,
    }
    detailed = allowed(call.caller, f"{RULE}events", project_id)
    if detailed:
        shown["traceback"] = event.traceback
    if call.version >= 62:
        shown["hostId"] = event.host_id or ""
        if detailed:
            shown["host"] = event.host
    if call.version >= 84 and allowed(call.caller, f"{RULE}events:details", project_id):
        shown["details"] = event.details
    return shown


OPERATIONS = (
    Operation("GET", "/servers/{server_id}/os-instance-actions", index, query=QUERY),
    Operation("GET", "/servers/{server_id}/os-instance-actions/{request_id}", show),
)
