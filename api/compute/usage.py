"""What projects have used in a period: hours of servers, and of what they were made of.

A server counts from its launch to its end, to the microsecond, stopped or running alike.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from api.compute import fields
from api.compute.faults import bad_request
from api.compute.operation import Answer, Call, Operation
from api.compute.paging import in_one_answer, limit_of, next_links
from api.compute.validation import Property, Query
from api.policy import enforce
from projections.compute.usage_queries import UnknownMarker, UsedServer, servers_between
from projections.instants import EPOCH, microseconds

RULE = "os_compute_api:os-simple-tenant-usage:"
VERSION_PAGES = 40
SHOWN_MAX = 10_000
"""Servers that are shown one by one where there are no pages: some four MiB."""
HOUR = 3600 * 1_000_000
FORMATS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S.%f")
QUERY = Query(
    (
        Property("start", fields.QUERY_TEXT),
        Property("end", fields.QUERY_TEXT),
        Property("detailed", fields.QUERY_TEXT),
        Property("limit", fields.QUERY_LIMIT, since=VERSION_PAGES),
        Property("marker", fields.QUERY_TEXT, since=VERSION_PAGES),
    ),
    strict_since=75,
)


class Period:
    """From ``begin`` to ``end``, which is never later than ``now``; microseconds since 1970.

    What is not given is now: without both, the servers of this moment.
    """

    def __init__(self, call: Call) -> None:
        self.now = time.time_ns() // 1000
        self.begin = _instant(call.first("start"), self.now)
        self.end = min(_instant(call.first("end"), self.now), self.now)
        if self.begin >= self.end and (call.first("start") or call.first("end")):
            raise bad_request("Invalid start time. The start time cannot occur after the end time.")


def _instant(text: str | None, now: int) -> int:
    if not text:
        return now
    for form in FORMATS:
        try:
            moment = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        return (moment - EPOCH) // timedelta(microseconds=1)
    raise bad_request("Datetime is in invalid format")


def index(call: Call) -> Answer:
    """All projects' usage; with ``detailed``, each server's too."""
    enforce(call.caller, f"{RULE}list")
    period = Period(call)
    detailed = fields.is_true(call.first("detailed"))
    servers, links = _servers(call, period, "/os-simple-tenant-usage", None, detailed)
    projects: dict[str, list[UsedServer]] = {}
    for server in servers:
        projects.setdefault(server.project_id, []).append(server)
    usages = [_usage(period, id, projects[id], detailed) for id in sorted(projects)]
    body: dict[str, Any] = {"tenant_usages": usages}
    return Answer(body | ({"tenant_usages_links": links} if links else {}))


def show(call: Call) -> Answer:
    """One project's usage, with each server's."""
    project_id = call.params["project_id"]
    enforce(call.caller, f"{RULE}show", project_id)
    period = Period(call)
    path = f"/os-simple-tenant-usage/{project_id}"
    servers, links = _servers(call, period, path, project_id, True)
    usage = _usage(period, project_id, servers, True) if servers else {}
    body: dict[str, Any] = {"tenant_usage": usage}
    return Answer(body | ({"tenant_usage_links": links} if links else {}))


def _servers(
    call: Call, period: Period, path: str, project_id: str | None, detailed: bool
) -> tuple[list[UsedServer], list[dict[str, str]]]:
    """A page of servers, and the link to the next page. Up to 2.39: all, but not more than
    ``SHOWN_MAX`` if they are to be shown one by one."""
    paged = call.version >= VERSION_PAGES
    limit = limit_of(call)
    most = limit if paged else SHOWN_MAX + 1 if detailed else None
    try:
        servers = servers_between(
            call.services.engine,
            period.begin,
            period.end,
            project_id=project_id,
            marker=call.last("marker"),
            limit=most,
        )
    except UnknownMarker as error:
        raise bad_request(f"marker [{error}] not found") from None
    if not paged:
        in_one_answer(call, not detailed or len(servers) <= SHOWN_MAX, VERSION_PAGES)
        return servers, []
    links = next_links(call, path, [server.id for server in servers], limit)
    return servers, links


def _usage(
    period: Period, project_id: str, servers: Iterable[UsedServer], detailed: bool
) -> dict[str, Any]:
    hours = vcpus = memory = disk = 0.0
    usages = []
    for server in servers:
        ran = server.ran(period.begin, period.end) / HOUR
        hours += ran
        vcpus += server.vcpus * ran
        memory += server.ram_mib * ran
        disk += server.disk_gib * ran
        if detailed:
            usages.append(_server_usage(period, server, ran))
    body: dict[str, Any] = {
        "tenant_id": project_id,
        "start": microseconds(period.begin),
        "stop": microseconds(period.end),
        "total_hours": hours,
        "total_vcpus_usage": vcpus,
        "total_memory_mb_usage": memory,
        "total_local_gb_usage": disk,
    }
    return body | ({"server_usages": usages} if detailed else {})


def _server_usage(period: Period, server: UsedServer, hours: float) -> dict[str, Any]:
    ended = server.terminated_at
    return {
        "instance_id": server.id,
        "name": server.name,
        "tenant_id": server.project_id,
        "flavor": server.flavor_name,
        "hours": hours,
        "vcpus": server.vcpus,
        "memory_mb": server.ram_mib,
        "local_gb": server.disk_gib,
        "started_at": microseconds(server.launched_at),
        "ended_at": None if ended is None else microseconds(ended),
        "state": server.vm_state if ended is None else "terminated",
        "uptime": max(0, (period.now if ended is None else ended) - server.launched_at) // 10**6,
    }


OPERATIONS = (
    Operation("GET", "/os-simple-tenant-usage", index, query=QUERY),
    Operation("GET", "/os-simple-tenant-usage/{project_id}", show, query=QUERY),
)
