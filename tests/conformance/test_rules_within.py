"""Rules that guard not a route but something asked for in it, or shown by it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.asking import holds
from tests.conformance.inventory import COMPUTE
from tests.conformance.policy_table import HOLDERS
from tests.conformance.site import PEOPLE, Site

NOVA = "os_compute_api:"
SERVERS = f"{NOVA}servers:"


def new_server(cloud: Site, **more: Any) -> dict[str, Any]:
    server = {
        "name": "new",
        "imageRef": cloud.ours["public image"],
        "flavorRef": "m1.tiny",
        "networks": "none",
    }
    return {"server": server | more}


ASKED = [
    ("GET", "/servers?all_tenants=1", {}, f"{SERVERS}index", f"{SERVERS}index:get_all_tenants"),
    (
        "GET",
        "/servers/detail?all_tenants=1",
        {},
        f"{SERVERS}detail",
        f"{SERVERS}detail:get_all_tenants",
    ),
    ("GET", "/servers?status=deleted", {}, f"{SERVERS}index", f"{SERVERS}allow_all_filters"),
    (
        "POST",
        "/servers",
        {"availability_zone": "nova:c1"},
        f"{SERVERS}create",
        f"{SERVERS}create:forced_host",
    ),
    (
        "POST",
        "/servers",
        {"host": "c1"},
        f"{SERVERS}create",
        "compute:servers:create:requested_destination",
    ),
    (
        "GET",
        "/limits?tenant_id={theirs}",
        {},
        f"{NOVA}limits",
        f"{NOVA}limits:other_project",
    ),
]


@pytest.mark.parametrize("caller", PEOPLE)
@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked[-1])
def test_what_needs_another_rule(
    cloud: Site, caller: str, asked: tuple[str, str, dict[str, Any], str, str]
) -> None:
    method, path, fields, *rules = asked
    who = cloud.callers[caller]
    body = new_server(cloud, **fields) if method == "POST" else None
    path = path.format(theirs=cloud.theirs["project_id"])
    answer = cloud.request(caller, method, f"{COMPUTE}{path}", body, "2.104", away=True)
    own_limits = path.startswith("/limits") and who.project_id == cloud.theirs["project_id"]
    needed = rules[:1] if own_limits else rules
    may = all(holds(who, HOLDERS[rule], who.project_id, who.user_id) for rule in needed)
    if not may:
        assert answer.status_code == 403, answer.text
    else:
        assert answer.status_code == (503 if method == "POST" else 200), answer.text


def test_a_flavor_without_a_disk_is_for_admins(cloud: Site) -> None:
    cloud.host.flavor("m0.diskless", root_gib=0)
    body = new_server(cloud, flavorRef="m0.diskless")
    for caller, status in (("member", 403), ("manager", 403), ("admin", 503)):
        answer = cloud.request(caller, "POST", f"{COMPUTE}/servers", body, "2.104", away=True)
        assert answer.status_code == status, answer.text


SHOWN = [
    ("OS-EXT-SRV-ATTR:host", f"{NOVA}os-extended-server-attributes"),
    ("OS-EXT-SRV-ATTR:instance_name", f"{NOVA}os-extended-server-attributes"),
    ("OS-EXT-SRV-ATTR:user_data", f"{NOVA}os-extended-server-attributes"),
    ("host_status", f"{SERVERS}show:host_status"),
]


@pytest.mark.parametrize("caller", ["admin", "manager", "member", "reader"])
@pytest.mark.parametrize("path", ["/servers/{id}", "/servers/detail"])
def test_what_a_server_shows_to_whom(cloud: Site, caller: str, path: str) -> None:
    path = COMPUTE + path.format(id=cloud.ours["server_id"])
    body = cloud.request(caller, "GET", path, version="2.104").json
    shown = body["server"] if "server" in body else body["servers"][0]
    who = cloud.callers[caller]
    for field, rule in SHOWN:
        assert (field in shown) is holds(who, HOLDERS[rule], cloud.ours["project_id"], None), field


@pytest.mark.parametrize("caller", PEOPLE)
def test_extra_specs_are_shown_to_readers(cloud: Site, caller: str) -> None:
    who = cloud.callers[caller]
    rule = HOLDERS[f"{NOVA}os-flavor-extra-specs:index"]
    flavor = cloud.request(caller, "GET", f"{COMPUTE}/flavors/m1.tiny", version="2.61").json
    assert ("extra_specs" in flavor["flavor"]) is holds(who, rule, who.project_id, None)


@pytest.mark.parametrize(
    ("caller", "seen"),
    [
        ("admin", {"m1.tiny", "m1.secret"}),
        ("member", {"m1.tiny"}),
        ("stranger", {"m1.tiny", "m1.secret"}),
        ("unscoped", {"m1.tiny"}),
        ("system admin", {"m1.tiny", "m1.secret"}),
    ],
)
def test_flavors_that_are_not_public(cloud: Site, caller: str, seen: set[str]) -> None:
    query = "?is_public=none" if "admin" in caller else ""
    flavors = cloud.request(caller, "GET", f"{COMPUTE}/flavors{query}").json["flavors"]
    assert {flavor["id"] for flavor in flavors} - {"m0.diskless"} == seen
    status = cloud.request(caller, "GET", f"{COMPUTE}/flavors/m1.secret").status_code
    assert status == (200 if "m1.secret" in seen else 404)
