"""Hypervisors: the compute nodes, what they have, and the servers on them.

Ids are numbers up to 2.52, then UUIDs. From 2.88 on their amounts are placement's to tell, and
the time they have been up is part of the view.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

import orjson

from api.compute import fields
from api.compute.faults import bad_request, not_found, not_implemented
from api.compute.operation import Answer, Call, Operation
from api.compute.paging import limit_of, next_links
from api.compute.validation import Property, Query
from api.policy import enforce
from projections.compute.hosted_servers import servers_on
from projections.compute.server_queries import Named
from projections.fleet.hypervisors import (
    HypervisorRow,
    UnknownMarker,
    find_hypervisor,
    list_hypervisors,
    statistics,
    uptime,
)

RULE = "os_compute_api:os-hypervisors:"
VERSION_CPU_OBJECT, VERSION_PAGES, VERSION_UUID = 28, 33, 53
VERSION_EMPTY_SERVERS, VERSION_LEAN = 75, 88
FACTS = ("hypervisor_type", "hypervisor_version", "host_ip", "service")
AMOUNTS = (
    *("vcpus", "memory_mb", "local_gb", "vcpus_used", "memory_mb_used", "local_gb_used"),
    *("free_ram_mb", "free_disk_gb", "current_workload", "running_vms", "disk_available_least"),
)

WITH_SERVERS = Property("with_servers", fields.single(fields.BOOLEAN), since=VERSION_UUID)
PATTERN = Property("hypervisor_hostname_pattern", fields.QUERY_FILTER, since=VERSION_UUID)
LIST_QUERY = Query(
    (
        Property("limit", fields.QUERY_LIMIT, since=VERSION_PAGES),
        Property("marker", fields.QUERY_TEXT, since=VERSION_PAGES),
        WITH_SERVERS,
        PATTERN,
    ),
    strict_since=VERSION_PAGES,
)
SHOW_QUERY = Query((WITH_SERVERS,), strict_since=VERSION_UUID)


def _now() -> int:
    return time.time_ns() // 1000


# ------------------------------------------------------------------- views


def _brief(call: Call, row: HypervisorRow) -> dict[str, Any]:
    return {
        "id": row.node_id if call.version >= VERSION_UUID else row.number,
        "hypervisor_hostname": row.document["hypervisor_hostname"],
        "state": row.document["state"],
        "status": row.document["status"],
    }


def _whole(call: Call, row: HypervisorRow) -> dict[str, Any]:
    body = _brief(call, row) | {name: row.document[name] for name in FACTS}
    if call.version < VERSION_UUID:
        body["service"] = {**row.document["service"], "id": row.number}
    if call.version >= VERSION_LEAN:
        body["uptime"] = uptime(row, _now())
        return body
    body |= {name: row.document[name] for name in AMOUNTS}
    cpu_info = row.document["cpu_info"]
    if call.version < VERSION_CPU_OBJECT:
        cpu_info = orjson.dumps(cpu_info).decode()
    body["cpu_info"] = cpu_info
    return body


def _add_servers(call: Call, body: dict[str, Any], servers: Sequence[Named]) -> None:
    if servers or call.version >= VERSION_EMPTY_SERVERS:
        body["servers"] = [{"name": server.name, "uuid": server.id} for server in servers]


# -------------------------------------------------------------------- list


def index(call: Call) -> Answer:
    """Ids, names and states."""
    enforce(call.caller, f"{RULE}list")
    return _list(call, "/os-hypervisors", detailed=False)


def detail(call: Call) -> Answer:
    """Whole hypervisors."""
    enforce(call.caller, f"{RULE}list-detail")
    return _list(call, "/os-hypervisors/detail", detailed=True)


def _list(call: Call, path: str, detailed: bool) -> Answer:
    paged = call.version >= VERSION_PAGES
    limit = limit_of(call)
    pattern, marker = call.last("hypervisor_hostname_pattern"), call.last("marker")
    if pattern is not None and (marker is not None or call.last("limit") is not None):
        raise bad_request(
            "Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not "
            "supported."
        )
    with call.services.engine.connect() as connection:
        try:
            rows = list_hypervisors(
                connection,
                hostname_pattern=pattern,
                marker=None if marker is None else _checked_marker(call, marker),
                limit=limit if paged else None,
            )
        except UnknownMarker:
            raise bad_request(f"marker [{marker}] not found") from None
    if pattern is not None and not rows:
        raise _no_match(pattern)
    bodies = _bodies(call, rows, detailed)
    answer: dict[str, Any] = {"hypervisors": bodies}
    if paged and pattern is None:
        links = next_links(call, path, [str(body["id"]) for body in bodies], limit)
        if links:
            answer["hypervisors_links"] = links
    return Answer(answer)


def _bodies(call: Call, rows: Sequence[HypervisorRow], detailed: bool) -> list[dict[str, Any]]:
    bodies = [_whole(call, row) if detailed else _brief(call, row) for row in rows]
    if fields.is_true(call.last("with_servers")):
        _with_servers(call, rows, bodies)
    return bodies


def _with_servers(
    call: Call, rows: Sequence[HypervisorRow], bodies: Sequence[dict[str, Any]]
) -> None:
    with call.services.engine.connect() as connection:
        servers = servers_on(connection, [row.host for row in rows])
    for row, body in zip(rows, bodies, strict=True):
        _add_servers(call, body, servers.get(row.host, ()))


def _no_match(pattern: str) -> Exception:
    return not_found(f"No hypervisor matching '{pattern}' could be found.")


def _checked_marker(call: Call, marker: str) -> str:
    try:
        return _checked_id(call, marker)
    except ValueError:
        raise bad_request(f"marker [{marker}] not found") from None


def _checked_id(call: Call, given: str) -> str:
    """The id in the form of this microversion. Raises ``ValueError``."""
    return str(uuid.UUID(given)) if call.version >= VERSION_UUID else str(int(given))


# --------------------------------------------------------------------- one


def _found(call: Call) -> HypervisorRow:
    given = call.params["hypervisor"]
    try:
        id = _checked_id(call, given)
    except ValueError:
        if call.version >= VERSION_UUID:
            raise bad_request(f"Invalid uuid {given}") from None
        id = ""
    with call.services.engine.connect() as connection:
        row = find_hypervisor(connection, id)
    if row is None:
        raise not_found(f"Hypervisor with ID '{given}' could not be found.")
    return row


def show(call: Call) -> Answer:
    """One hypervisor."""
    enforce(call.caller, f"{RULE}show")
    (body,) = _bodies(call, [_found(call)], detailed=True)
    return Answer({"hypervisor": body})


def show_uptime(call: Call) -> Answer:
    """How long it has been up; 400 while its host is down."""
    enforce(call.caller, f"{RULE}uptime")
    row = _found(call)
    if not row.up:
        raise bad_request(f"Compute service of {row.host} is unavailable at this time.")
    text = uptime(row, _now())
    if text is None:
        raise not_implemented("Virt driver does not implement uptime function.")
    return Answer({"hypervisor": _brief(call, row) | {"uptime": text}})


def show_statistics(call: Call) -> Answer:
    """Sums over all hypervisors."""
    enforce(call.caller, f"{RULE}statistics")
    with call.services.engine.connect() as connection:
        return Answer({"hypervisor_statistics": statistics(connection)})


# ------------------------------------------------- by part of a name, up to 2.52


def _matching(call: Call) -> list[HypervisorRow]:
    pattern = call.params["hypervisor"]
    with call.services.engine.connect() as connection:
        rows = list_hypervisors(connection, hostname_pattern=pattern)
    if not rows:
        raise _no_match(pattern)
    return rows


def search(call: Call) -> Answer:
    """Hypervisors whose name contains the path's word."""
    enforce(call.caller, f"{RULE}search")
    return Answer({"hypervisors": [_brief(call, row) for row in _matching(call)]})


def servers(call: Call) -> Answer:
    """As ``search``, with the servers on each."""
    enforce(call.caller, f"{RULE}servers")
    rows = _matching(call)
    bodies = [_brief(call, row) for row in rows]
    _with_servers(call, rows, bodies)
    return Answer({"hypervisors": bodies})


ALL, ONE = "/os-hypervisors", "/os-hypervisors/{hypervisor}"

OPERATIONS = (
    Operation("GET", ALL, index, query=LIST_QUERY),
    Operation("GET", f"{ALL}/detail", detail, query=LIST_QUERY),
    Operation("GET", f"{ALL}/statistics", show_statistics, until=VERSION_LEAN - 1),
    Operation("GET", ONE, show, query=SHOW_QUERY),
    Operation("GET", f"{ONE}/uptime", show_uptime, until=VERSION_LEAN - 1),
    Operation("GET", f"{ONE}/search", search, until=VERSION_UUID - 1),
    Operation("GET", f"{ONE}/servers", servers, until=VERSION_UUID - 1),
)
