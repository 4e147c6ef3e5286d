"""Hypervisors and hosts: their shapes by microversion, pages, patterns, the servers on them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from commands.fleet.service import DisableService, EnableService, ForceDownService
from tests.api.compute.world import PROJECT, World, refused

ID = str(uuid.uuid5(uuid.NAMESPACE_DNS, "node c1"))
SERVICE = str(uuid.uuid5(uuid.NAMESPACE_DNS, "service c1"))
BRIEF = {"id", "hypervisor_hostname", "state", "status"}
FACTS = BRIEF | {"hypervisor_type", "hypervisor_version", "host_ip", "service"}
AMOUNTS = {
    *("vcpus", "memory_mb", "local_gb", "vcpus_used", "memory_mb_used", "local_gb_used"),
    *("free_ram_mb", "free_disk_gb", "current_workload", "running_vms"),
    *("disk_available_least", "cpu_info"),
}


@pytest.fixture(scope="module", autouse=True)
def hosts(world: World) -> None:
    world.bus.send(DisableService(host="c1"), "default")
    world.host("d2")
    world.boot()
    world.bus.send(EnableService(host="c1"), "default")
    world.host("d3")


def got(world: World, path: str, version: str = "2.1") -> Any:
    answer = world.get(f"/os-hypervisors{path}", version=version, token="admin")
    assert answer.status_code == 200, answer.text
    return answer.json


def bad(world: World, path: str, version: str, status: int, text: str = "") -> None:
    answer = world.get(f"/os-hypervisors{path}", version=version, token="admin")
    names = {400: "badRequest", 404: "itemNotFound", 501: "notImplemented"}
    refused(answer, status, names[status], text)


def hostnames(body: Any) -> list[str]:
    return [row["hypervisor_hostname"] for row in body["hypervisors"]]


def test_brief(world: World) -> None:
    body = got(world, "")
    assert hostnames(body) == ["c1.test", "d2.test", "d3.test"]
    assert all(set(row) == BRIEF for row in body["hypervisors"])
    assert [row["id"] for row in body["hypervisors"]] == [1, 2, 3]
    assert got(world, "", "2.53")["hypervisors"][0]["id"] == ID


@pytest.mark.parametrize(
    ("version", "id", "service", "names"),
    [
        ("2.1", "1", 1, FACTS | AMOUNTS),
        ("2.27", "1", 1, FACTS | AMOUNTS),
        ("2.28", "1", 1, FACTS | AMOUNTS),
        ("2.53", ID, SERVICE, FACTS | AMOUNTS),
        ("2.87", ID, SERVICE, FACTS | AMOUNTS),
        ("2.88", ID, SERVICE, FACTS | {"uptime"}),
        ("2.104", ID, SERVICE, FACTS | {"uptime"}),
    ],
)
def test_shapes(world: World, version: str, id: str, service: object, names: set[str]) -> None:
    shown = got(world, f"/{id}", version)["hypervisor"]
    assert set(shown) == names
    assert str(shown["id"]) == id
    assert shown["service"] == {"id": service, "host": "c1", "disabled_reason": None}
    assert got(world, "/detail", version)["hypervisors"][0] == shown
    if "cpu_info" in names:
        expected = "{}" if version in ("2.1", "2.27") else {}
        assert shown["cpu_info"] == expected


def test_amounts(world: World) -> None:
    (shown,) = [
        row for row in got(world, "/detail")["hypervisors"] if row["service"]["host"] == "d2"
    ]
    assert (shown["vcpus"], shown["vcpus_used"], shown["running_vms"]) == (64, 1, 1)
    assert (shown["memory_mb"], shown["memory_mb_used"]) == (64 * 4096, 512)
    assert shown["free_ram_mb"] == 64 * 4096 - 512
    sums = got(world, "/statistics")["hypervisor_statistics"]
    assert (sums["count"], sums["vcpus"], sums["vcpus_used"]) == (3, 192, 1)
    assert set(sums) == AMOUNTS - {"cpu_info"} | {"count"}
    bad(world, "/statistics", "2.88", 404)


def test_states(world: World) -> None:
    world.bus.send(ForceDownService(host="c1", forced_down=True), "default")
    world.bus.send(DisableService(host="c1", reason="fan"), "default")
    try:
        shown = got(world, "/1")["hypervisor"]
        assert (shown["state"], shown["status"]) == ("down", "disabled")
        assert shown["service"]["disabled_reason"] == "fan"
        bad(world, "/1/uptime", "2.1", 400, "unavailable")
    finally:
        world.bus.send(ForceDownService(host="c1", forced_down=False), "default")
        world.bus.send(EnableService(host="c1"), "default")
    bad(world, f"/{ID}/uptime", "2.87", 501)
    bad(world, f"/{ID}/uptime", "2.88", 404)


def test_pages(world: World) -> None:
    body = got(world, "?limit=2", "2.33")
    assert hostnames(body) == ["c1.test", "d2.test"]
    (link,) = body["hypervisors_links"]
    assert link["href"].endswith("/os-hypervisors?limit=2&marker=2")
    rest = got(world, "/detail?limit=2&marker=2", "2.33")
    assert hostnames(rest) == ["d3.test"]
    assert "hypervisors_links" not in rest
    assert hostnames(got(world, f"?marker={ID}", "2.53")) == ["d2.test", "d3.test"]
    assert len(got(world, "?limit=1", "2.32")["hypervisors"]) == 3
    bad(world, "?marker=x", "2.33", 400, "marker [x] not found")
    bad(world, "?marker=1", "2.53", 400, "marker [1] not found")
    bad(world, f"?marker={uuid.uuid4()}", "2.53", 400, "not found")
    bad(world, "?limit=-1", "2.33", 400)
    bad(world, "?colour=red", "2.33", 400)


def test_patterns_and_servers(world: World) -> None:
    assert hostnames(got(world, "?hypervisor_hostname_pattern=d", "2.53")) == ["d2.test", "d3.test"]
    bad(world, "?hypervisor_hostname_pattern=zz", "2.53", 404, "'zz'")
    bad(world, "?hypervisor_hostname_pattern=d&limit=1", "2.53", 400, "Paging")
    found = got(world, "?with_servers=true&hypervisor_hostname_pattern=d", "2.53")["hypervisors"]
    assert [server["name"] for server in found[0]["servers"]] == ["vm1"]
    assert "servers" not in found[1]
    found = got(world, "/detail?with_servers=1", "2.75")["hypervisors"]
    assert [len(row["servers"]) for row in found] == [0, 1, 0]
    shown = got(world, f"/{ID}?with_servers=True", "2.75")["hypervisor"]
    assert shown["servers"] == []
    bad(world, "?with_servers=maybe", "2.53", 400)


def test_search_up_to_2_52(world: World) -> None:
    assert hostnames(got(world, "/d/search")) == ["d2.test", "d3.test"]
    found = got(world, "/d2/servers")["hypervisors"]
    assert [len(row["servers"]) for row in found] == [1]
    bad(world, "/zz/search", "2.1", 404, "'zz'")
    bad(world, "/zz/servers", "2.52", 404, "'zz'")
    bad(world, "/d/search", "2.53", 404)
    bad(world, "/d/servers", "2.53", 404)


def test_unknown_ids(world: World) -> None:
    bad(world, "/99", "2.52", 404, "'99'")
    bad(world, "/c1", "2.52", 404, "'c1'")
    bad(world, "/1", "2.53", 400, "Invalid uuid 1")
    bad(world, f"/{uuid.uuid4()}", "2.53", 404)


@pytest.mark.parametrize(
    "path", ["", "/detail", "/statistics", "/1", "/1/uptime", "/d/search", "/d/servers"]
)
def test_only_for_admins(world: World, path: str) -> None:
    refused(world.get(f"/os-hypervisors{path}"), 403, "forbidden", "os-hypervisors")


# ------------------------------------------------------------------- hosts


def test_hosts(world: World) -> None:
    listed = world.get("/os-hosts", token="admin").json["hosts"]
    assert {"host_name": "c1", "service": "compute", "zone": "nova"} in listed
    assert world.get("/os-hosts?zone=moon", token="admin").json["hosts"] == []
    rows = world.get("/os-hosts/d2", token="admin").json["host"]
    resources = [row["resource"] for row in rows]
    assert [r["project"] for r in resources] == ["(total)", "(used_now)", "(used_max)", PROJECT]
    assert [r["cpu"] for r in resources] == [64, 1, 1, 1]
    assert [r["memory_mb"] for r in resources] == [64 * 4096, 512, 512, 512]
    refused(world.get("/os-hosts", version="2.43", token="admin"), 404, "itemNotFound")
    refused(world.get("/os-hosts/c9", token="admin"), 404, "itemNotFound", "c9")
    refused(world.get("/os-hosts/c1.test", token="admin"), 404, "itemNotFound")


def test_a_host_in_and_out(world: World) -> None:
    answer = world.put("/os-hosts/c1", {"status": "disable"}, token="admin")
    assert answer.json == {"host": "c1", "status": "disabled"}
    assert got(world, "/1")["hypervisor"]["status"] == "disabled"
    answer = world.put("/os-hosts/c1", {"status": "Enable"}, token="admin")
    assert answer.json == {"host": "c1", "status": "enabled"}
    refused(world.put("/os-hosts/c1", {}, token="admin"), 400, "badRequest", "status")
    refused(world.put("/os-hosts/c1", {"status": "on"}, token="admin"), 400, "badRequest")
    answer = world.put("/os-hosts/c1", {"maintenance_mode": "enable"}, token="admin")
    refused(answer, 501, "notImplemented", "maintenance")
    for action in ("reboot", "shutdown", "startup"):
        refused(world.get(f"/os-hosts/c1/{action}", token="admin"), 501, "notImplemented")
        refused(world.get(f"/os-hosts/c1/{action}"), 403, "forbidden")
