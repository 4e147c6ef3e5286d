"""Whatever is sent to whatever there is: an answer in the service's form, soon, and nothing half
done.

``CHRONOVA_FUZZ_EXAMPLES`` is the number of requests to each service; the default fits ``make
test``.
"""

from __future__ import annotations

import os
import time
from typing import Any
from urllib.parse import quote

import falcon.testing
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from api.compute.routes import operations as compute_operations
from api.identity import domains, groups, projects, roles, users
from api.image.schemas import WRITABLE
from commands.compute.quota import SetQuotas
from events.outcome import CommandFailed
from tests.conformance import junk
from tests.conformance.asking import routes_of
from tests.conformance.inventory import COMPUTE, VERBS, Route
from tests.conformance.samples import body_of, headers_of, path_of, values
from tests.conformance.site import Site

EXAMPLES = int(os.environ.get("CHRONOVA_FUZZ_EXAMPLES", "250"))
CPU_SECONDS_MAX = 5.0
SECONDS_MAX = 20.0
"""Bounds of one request, wide enough for a busy machine: what they catch is work that grows."""

LIMITS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # what one request did to the cloud, the next try would find
    suppress_health_check=list(HealthCheck),
)
QUERIES = [
    *("limit", "marker", "sort_key", "sort_dir", "all_tenants", "status", "changes-since", "name"),
    *(
        "start",
        "end",
        "detailed",
        "is_public",
        "minRam",
        "minDisk",
        "user_id",
        "project_id",
        "tags",
    ),
    *("hypervisor_hostname_pattern", "with_servers", "created_at", "size_min", "visibility", "id"),
    *(
        "resources",
        "required",
        "member_of",
        "in_tree",
        "group_policy",
        "root_required",
        "ip",
        "ip6",
    ),
    *("domain_id", "enabled", "effective", "scope.project.id", "name__contains", "tenant_id"),
    *("subjectPrefix", "deleted", "normalize", "expires", "signature", "allow_expired", "uuid"),
]
VALUES = junk.TEXTS | st.sampled_from(
    ["1", "asc", "created_at:desc", "name", "VCPU:1", "in:a,b", "gt:1", "neq:x", "true", "ACTIVE"]
)
PROPERTIES = {
    "domain": domains.PROPERTIES,
    "group": groups.PROPERTIES,
    "project": projects.PROPERTIES,
    "role": roles.PROPERTIES,
    "user": users.PROPERTIES,
}


def schema_of(route: Route, minor: int) -> dict[str, Any] | None:
    """The schema that the route checks its body by, where it has one."""
    if route.service == "compute":
        found = [
            row.body
            for row in compute_operations()
            if f"{COMPUTE}{row.path}" == route.path
            and row.method == route.method
            and row.body is not None
            and row.since <= minor <= row.until
        ]
        return found[0]._build(minor) if found else None
    if route.path.startswith("/identity/v3/"):
        kind = route.path.split("/")[3].removesuffix("s")
        if kind in PROPERTIES:
            inner = {"type": "object", "properties": PROPERTIES[kind]}
            return {"type": "object", "properties": {kind: inner}, "required": [kind]}
    if route.shape == "/image/v2/images":
        return {"type": "object", "properties": WRITABLE}
    return None


@st.composite
def bodies(draw: st.DrawFn, site: Site, route: Route, minor: int) -> Any:
    """A body: as the schema says, a good one gone wrong, junk, or bytes."""
    kind = draw(st.sampled_from(["schema", "schema", "mutated", "mutated", "good", "junk", "raw"]))
    schema = schema_of(route, minor)
    if kind == "schema" and schema is not None:
        return draw(junk.of_schema(schema))
    if kind == "raw":
        return draw(junk.RAW)
    if kind == "junk":
        return draw(junk.JUNK)
    try:
        good = body_of(site, route, site.ours, minor)
    except KeyError:
        return draw(junk.JUNK)
    if kind == "good" or not isinstance(good, dict | list):
        return good
    return junk.mutated(draw, good)


def segment(draw: st.DrawFn, good: str, other: str) -> str:
    """What stands for a parameter of the path: ours, theirs, or junk."""
    kind = draw(st.sampled_from(["ours"] * 8 + ["theirs", "junk"]))
    if kind == "ours":
        return good
    return other if kind == "theirs" else draw(junk.TEXTS.filter(lambda t: len(t) < 4000))


@st.composite
def requests(draw: st.DrawFn, site: Site, served: list[Route]) -> dict[str, Any]:
    """One request to one of these routes."""
    route = draw(st.sampled_from(served))
    minor = draw(st.integers(1, 104) | st.just(104))
    ours, theirs = values(site, route, site.ours), values(site, route, site.theirs)
    given_ = {name: segment(draw, ours[name], theirs[name]) for name in ours}
    path = path_of(route, {name: quote(v, safe="") for name, v in given_.items()})
    path = path.replace("%25", "%")
    query = draw(st.lists(st.tuples(st.sampled_from(QUERIES), VALUES), max_size=3))
    text = "&".join(f"{name}={quote(value[:3000], errors='replace')}" for name, value in query)
    method = draw(st.sampled_from([route.method] * 60 + list(VERBS) + ["OPTIONS", "TRACE"]))
    body = draw(bodies(site, route, minor)) if method not in ("GET", "HEAD") else None
    headers = {
        "X-Auth-Token": draw(
            st.sampled_from(["root", "root", "admin", "member", "member", "stranger"])
        ),
        "OpenStack-API-Version": f"compute 2.{minor}, placement 1.39",
        "Content-Type": "application/json",
        **headers_of(site, route, site.ours),
        **draw(st.one_of([st.just({})] * 3 + [junk.HEADERS])),
    }
    return {
        "method": method,
        "path": path,
        "query_string": text,
        "headers": headers,
        "body": None if body is None else junk.sendable(body),
    }


def in_form(service: str, answer: falcon.testing.Result) -> bool:
    """Whether an error has the form of the service's errors."""
    body, status = answer.json, answer.status_code
    if service == "compute":
        [(name, fault)] = body.items()
        return bool(
            fault["code"] == status and fault["message"] and (name != "error" or status == 401)
        )
    if service == "identity":
        return bool(body["error"]["code"] == status and body["error"]["message"])
    if service == "image" or status == 401:
        return body["code"].startswith(str(status)) and set(body) == {"message", "code", "title"}
    if service == "placement":
        return bool(body["errors"][0]["status"] == status)
    return bool(str(body["error_code"]).startswith(str(status)))


def check(site: Site, service: str, request: dict[str, Any]) -> None:
    """Send it; the answer is in form, in time, and what lies behind it is whole."""
    wall, cpu = time.monotonic(), time.process_time()
    answer = falcon.testing.simulate_request(site.app, **request)
    assert time.process_time() - cpu < CPU_SECONDS_MAX, request
    assert time.monotonic() - wall < SECONDS_MAX, request
    status = answer.status_code
    assert status < 500 or status == 501, (request, answer.text)
    assert answer.headers["x-openstack-request-id"].startswith("req-")
    if status >= 400 and answer.content:
        assert in_form(service, answer), (request, status, answer.text)
    whole(site)


def whole(site: Site) -> None:
    """Nothing is half done: what a project uses is what its servers are, and nothing failed."""
    for own in (site.ours, site.theirs):
        project_id = own["project_id"]
        partition = site.bus.partition("compute", project_id)
        project = partition.get("project", project_id)
        servers = [s for s in partition.all("server").values() if s.project_id == project_id]
        used = (project.instances, project.cores, project.ram_mib)
        held = (
            len(servers),
            sum(server.flavor.vcpus for server in servers),
            sum(server.flavor.ram_mib for server in servers),
        )
        assert used == held
    assert not site.bus.unhandled
    assert not any(isinstance(event, CommandFailed) for event in site.bus.events)


def restock(site: Site) -> None:
    """What the last request took away is there again, so that the next finds something."""
    site.host.work()
    for caller, own in (("member", site.ours), ("stranger", site.theirs)):
        if site.bus.partition("compute", own["project_id"]).get("server", own["server_id"]):
            continue
        unlimited = dict.fromkeys(("instances", "cores", "ram"), -1)
        project_id = own["project_id"]
        site.bus.send(SetQuotas(project_id=project_id, limits=unlimited), project_id)
        if site.request("root", "GET", f"{COMPUTE}/flavors/m1.tiny").status_code == 404:
            site.host.flavor("m1.tiny")
        path = f"/image/v2/images/{own['public image']}"
        shown = site.request("root", "GET", path)
        if shown.status_code == 404 or shown.json["status"] != "active":
            own["public image"] = site.host.image("public", project_id)
        own["server_id"] = site.boot(caller)


@pytest.mark.parametrize("service", ["compute", "identity", "image", "placement", "registry"])
def test_nothing_breaks(playground: Site, service: str) -> None:
    served = list(routes_of(playground, service))

    @LIMITS
    @given(data=st.data())
    def run(data: st.DataObject) -> None:
        restock(playground)
        check(playground, service, data.draw(requests(playground, served)))

    run()
    whole(playground)


NASTY = ("", "\x00", "²", "٣", "9" * 30, "9" * 5000, "-1", "[", "0001-01-01T00:00:00+23:00")


def test_no_query_parameter_breaks_anything(cloud: Site) -> None:
    for row in compute_operations():
        route = Route(f"{COMPUTE}{row.path}", row.method)
        if row.method != "GET" or row.query is None:
            continue
        path = path_of(route, values(cloud, route, cloud.ours))
        for known in row.query._properties:
            for text in NASTY:
                query = f"{path}?{known.name}={quote(text)}"
                answer = cloud.request("root", "GET", query, version=f"2.{known.until}")
                assert answer.status_code < 500, (query[:200], answer.text)
