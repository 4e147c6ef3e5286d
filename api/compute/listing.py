"""``GET /servers`` and ``/servers/detail``: filters, order, pages.

What can be filtered by is the table in ``filters.py``. What a caller may not filter by is silently
dropped, as in Nova; what is unknown is refused from 2.75 on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from api.compute import fields
from api.compute.faults import bad_request, forbidden
from api.compute.filters import APPEARED, FILTERS, INSTANTS, JOINED, Wanted, boolean, constant
from api.compute.operation import Answer, Call, Operation
from api.compute.paging import limit_of, next_links
from api.compute.validation import Property, Query
from api.compute.views import DETAIL, USER_DATA, ServerViews, links
from api.policy import allowed, enforce
from projections import pages
from projections.compute import server_queries as queries
from projections.compute.server_order import SORTABLE, Order
from projections.compute.status import states_of
from projections.instants import parse

CONSTANT_SORT_KEYS = ("kernel_id", "progress", "ramdisk_id", "root_device_name")
IGNORED_SORT_KEYS = (
    *("architecture", "cell_name", "cleaned", "default_ephemeral_device", "default_swap_device"),
    *("deleted", "deleted_at", "disable_terminate", "ephemeral_gb", "ephemeral_key_uuid", "id"),
    *("key_data", "launched_on", "locked", "memory_mb", "os_type", "reservation_id", "root_gb"),
    *("shutdown_terminate", "user_data", "vcpus", "vm_mode"),
)
"""Accepted before 2.75 and of no effect."""


def _sort_keys(since: int, until: int) -> Property:
    keys = [*SORTABLE, *CONSTANT_SORT_KEYS]
    if since < 73:
        keys.remove("locked")
    if since < 75:
        keys += IGNORED_SORT_KEYS
    return Property(
        "sort_key", fields.several({"type": "string", "enum": sorted(set(keys))}), since, until
    )


QUERY = Query(
    (
        Property("limit", fields.QUERY_LIMIT),
        Property("marker", fields.QUERY_TEXT),
        Property("all_tenants", fields.QUERY_TEXT),
        Property("status", fields.QUERY_TEXT),
        Property("tenant_id", fields.QUERY_TEXT),
        Property("project_id", fields.QUERY_TEXT),
        Property("instance_type_id", fields.QUERY_TEXT),
        Property("soft_deleted", fields.QUERY_TEXT),
        _sort_keys(1, 72),
        _sort_keys(73, 74),
        _sort_keys(75, 104),
        Property("sort_dir", fields.several({"type": "string", "enum": ["asc", "desc"]})),
        *(
            Property(
                row.name,
                fields.several({"type": "string", "format": "iso-date-time"})
                if row.name in INSTANTS
                else fields.QUERY_TEXT,
                APPEARED.get(row.name, 1),
            )
            for row in FILTERS
        ),
    ),
    strict_since=75,
)


def index(call: Call) -> Answer:
    """``GET /servers``: ids, names, links."""
    found = _page(call, "os_compute_api:servers:index", queries.list_names)
    body: dict[str, Any] = {
        "servers": [{"id": s.id, "name": s.name, "links": links(call, s.id)} for s in found]
    }
    return _answer(call, "/servers", body, [s.id for s in found])


def detail(call: Call) -> Answer:
    """``GET /servers/detail``: whole views; a page ends at ``PAGE_BYTES``."""
    found = _page(call, "os_compute_api:servers:detail", queries.list_servers)
    views = ServerViews(call, DETAIL, (s.host for s in found))
    shown, size = list[dict[str, Any]](), 0
    for server in found:
        if size >= pages.PAGE_BYTES:  # with user data, which is in no table
            break
        shown.append(views.view(server))
        size += len(server.document.encode()) + len(shown[-1].get(USER_DATA) or "")
    ids = [server["id"] for server in shown]
    return _answer(call, "/servers/detail", {"servers": shown}, ids, size >= pages.PAGE_BYTES)


def _answer(
    call: Call, path: str, body: dict[str, Any], ids: list[str], cut: bool = False
) -> Answer:
    following = next_links(call, path, ids, limit_of(call), cut)
    if following:
        body["servers_links"] = following
    return Answer(body)


def _page(call: Call, rule: str, read: Callable[..., list[Any]]) -> list[Any]:
    enforce(call.caller, rule)
    _refuse_internal_names(call)
    query = _query(call, rule)
    try:
        return read(call.services.engine, query)
    except queries.UnknownMarker as error:
        raise bad_request(f"marker [{error}] not found") from None
    except queries.BadPattern as error:
        raise bad_request(f"Invalid filter: {error}") from None


def _refuse_internal_names(call: Call) -> None:
    for name in call.req.params:
        if name.startswith("_") or name in JOINED:
            raise bad_request(f"Invalid filter field: {name}")


def _query(call: Call, rule: str) -> queries.ServerQuery:
    admin = allowed(call.caller, "os_compute_api:servers:allow_all_filters")
    wanted = Wanted()
    for row in FILTERS:
        value = call.last(row.name)
        if value is not None and (admin or call.version >= row.since):
            if not value and row.apply is not constant:
                raise bad_request(f"Invalid filter: {row.name} is empty")
            row.apply(wanted, row.target, value)
    _limit_to_project(call, rule, wanted, admin)
    _limit_to_status(call, wanted, admin)
    _limit_to_live(call, wanted)
    return queries.ServerQuery(
        exact=wanted.exact,
        patterns=wanted.patterns,
        at=wanted.at,
        locked=wanted.locked,
        none=wanted.none,
        order=_order(call, admin),
        limit=limit_of(call),
        marker=call.last("marker"),
        **wanted.tags,
    )


def _limit_to_project(call: Call, rule: str, wanted: Wanted, admin: bool) -> None:
    given = call.last("all_tenants")
    everywhere = False
    if given is not None:
        asked = boolean(given) if given else True
        if asked is None:
            raise bad_request(f"Invalid value for all_tenants: {given}")
        everywhere = asked
    if not everywhere:
        wanted.exact["project_id"] = [call.project_id]
        return
    enforce(call.caller, f"{rule}:get_all_tenants")
    for name in ("project_id", "tenant_id"):
        project = call.last(name)
        if project == "":
            raise bad_request(f"Invalid filter: {name} is empty")
        if project is not None:
            wanted.exact["project_id"] = [project]
            return


def _limit_to_status(call: Call, wanted: Wanted, admin: bool) -> None:
    statuses = call.query.get("status")
    if not statuses:
        return
    if "" in statuses:
        raise bad_request("Invalid filter: status is empty")
    vm_states, task_states = states_of(statuses)
    if not vm_states:
        if call.version >= 38:
            raise bad_request(f"Invalid status value: {', '.join(statuses)}")
        wanted.none = True
        return
    if "deleted" in vm_states:
        if not admin:
            raise forbidden("Only administrators may list deleted instances")
        wanted.exact["deleted"] = [True]
    wanted.exact["vm_state"] = list(vm_states)
    if task_states is not None:
        wanted.exact["task_state"] = list(task_states)


def _limit_to_live(call: Call, wanted: Wanted) -> None:
    """Deleted servers show only to who asks for changes, or (admins) for them."""
    since, before = call.last("changes-since"), call.last("changes-before")
    if since and before and parse(since) > parse(before):
        raise bad_request("The value of changes-since must be less than or equal to changes-before")
    if not since and not before:
        wanted.exact.setdefault("deleted", [False])


def _order(call: Call, admin: bool) -> list[Order]:
    keys = call.query.get("sort_key", ["created_at"])
    directions = call.query.get("sort_dir", ["desc"])
    if len(directions) > max(len(keys), 1):
        raise bad_request("Sort direction size exceeds sort key size")
    if not admin and (secret := {"host", "node"} & set(keys)):
        raise forbidden(f"Only administrators can sort servers by {', '.join(sorted(secret))}")
    directions = directions + [directions[0]] * (len(keys) - len(directions))
    ignored = IGNORED_SORT_KEYS if call.version < 73 else CONSTANT_SORT_KEYS
    order = []
    for key, direction in zip(keys, directions, strict=True):
        if key in SORTABLE and key not in ignored:
            order.append(Order(key, direction == "desc"))
    return order or [Order(descending=directions[0] == "desc")]


OPERATIONS = (
    Operation("GET", "/servers", index, query=QUERY),
    Operation("GET", "/servers/detail", detail, query=QUERY),
)
