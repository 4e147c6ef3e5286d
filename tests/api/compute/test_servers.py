"""Show, update, delete of one server, for whom, and how it looks at each microversion."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from commands.fleet.service import DisableService
from tests.api.compute.world import OPERATORS, PROJECT, World, refused

ADMIN = [
    "OS-EXT-SRV-ATTR:host",
    "OS-EXT-SRV-ATTR:hypervisor_hostname",
    "OS-EXT-SRV-ATTR:instance_name",
]
ADMIN_3 = [
    "OS-EXT-SRV-ATTR:hostname",
    "OS-EXT-SRV-ATTR:kernel_id",
    "OS-EXT-SRV-ATTR:launch_index",
    "OS-EXT-SRV-ATTR:ramdisk_id",
    "OS-EXT-SRV-ATTR:reservation_id",
    "OS-EXT-SRV-ATTR:root_device_name",
    "OS-EXT-SRV-ATTR:user_data",
]
ALWAYS = [
    *("id", "name", "status", "tenant_id", "user_id", "metadata", "hostId", "image", "flavor"),
    *("created", "updated", "addresses", "accessIPv4", "accessIPv6", "links", "progress"),
    *("OS-DCF:diskConfig", "OS-EXT-AZ:availability_zone", "config_drive", "key_name"),
    *("OS-SRV-USG:launched_at", "OS-SRV-USG:terminated_at", "security_groups"),
    *("OS-EXT-STS:task_state", "OS-EXT-STS:vm_state", "OS-EXT-STS:power_state"),
    "os-extended-volumes:volumes_attached",
]
SINCE = {
    9: ["locked"],
    19: ["description"],
    26: ["tags"],
    63: ["trusted_image_certificates"],
    71: ["server_groups"],
    73: ["locked_reason"],
    90: ["OS-EXT-SRV-ATTR:hostname"],
    96: ["pinned_availability_zone"],
    100: ["scheduler_hints"],
}


def show(world: World, server_id: str, version: str = "2.1", token: str = "member") -> Any:
    answer = world.get(f"/servers/{server_id}", version=version, token=token)
    assert answer.status_code == 200, answer.text
    return answer.json["server"]


def test_it_builds_and_runs(world: World) -> None:
    server_id = world.create({"networks": "auto"}).json["server"]["id"]
    building = show(world, server_id)
    assert building["status"] == "BUILD"
    assert building["OS-EXT-STS:vm_state"] == "building"
    assert building["OS-EXT-STS:task_state"] == "networking"
    assert building["OS-SRV-USG:launched_at"] is None
    world.work()
    running = show(world, server_id)
    assert running["status"] == "ACTIVE"
    assert running["OS-EXT-STS:power_state"] == 1
    assert running["OS-EXT-STS:task_state"] is None
    assert running["OS-SRV-USG:launched_at"][-7] == "."
    assert running["created"][-1] == "Z"
    assert running["OS-EXT-AZ:availability_zone"] == "nova"
    assert running["hostId"] == hashlib.sha224(f"{PROJECT}c1".encode()).hexdigest()


@pytest.mark.parametrize("version", range(1, 105))
def test_the_fields_of_each_microversion(world: World, version: int) -> None:
    if not world.shown_id:
        world.shown_id = world.boot({"networks": "auto"})
    common = [*ALWAYS, *(f for since, names in SINCE.items() if version >= since for f in names)]
    assert sorted(show(world, world.shown_id, f"2.{version}")) == sorted(common)
    admin = {*common, *ADMIN, *(ADMIN_3 if version >= 3 else [])}
    admin |= {"host_status"} if version >= 16 else set()
    shown = show(world, world.shown_id, f"2.{version}", "admin")
    assert sorted(shown) == sorted(admin)
    assert ("original_name" in shown["flavor"]) == (version >= 47)
    assert ("properties" in shown["image"]) == (version >= 98)


def test_flavor_and_image_in_old_and_new_form(world: World) -> None:
    server_id = world.boot()
    old = show(world, server_id)
    assert old["flavor"] == {
        "id": "m1.tiny",
        "links": [{"rel": "bookmark", "href": "http://cloud.test/compute/flavors/m1.tiny"}],
    }
    assert old["image"] == {
        "id": world.image_id,
        "links": [
            {"rel": "bookmark", "href": f"http://cloud.test/compute/images/{world.image_id}"}
        ],
    }
    new = show(world, server_id, "2.98")
    assert new["flavor"] == {
        "original_name": "m1.tiny",
        "vcpus": 1,
        "ram": 512,
        "disk": 1,
        "ephemeral": 0,
        "swap": 0,
        "extra_specs": {},
    }
    assert new["image"]["properties"] == {"hw_disk_bus": "virtio"}


def test_an_admin_sees_host_and_its_status(world: World) -> None:
    world.host("c2")
    server_id = world.boot({"host": "c2"}, token="project-admin")
    shown = show(world, server_id, "2.16", "admin")
    assert shown["OS-EXT-SRV-ATTR:host"] == "c2"
    assert shown["OS-EXT-SRV-ATTR:hypervisor_hostname"] == "c2.test"
    assert shown["OS-EXT-SRV-ATTR:instance_name"] == f"instance-{server_id}"
    assert shown["host_status"] == "UP"
    world.bus.send(DisableService(host="c2"), "default")
    assert show(world, server_id, "2.16", "admin")["host_status"] == "MAINTENANCE"


def test_a_failed_build_shows_its_fault(world: World) -> None:
    world.flavor("huge", ram_mib=2**30)
    server_id = world.create({"flavorRef": "huge"}).json["server"]["id"]
    shown = show(world, server_id)
    assert shown["status"] == "ERROR"
    assert "progress" not in shown
    assert shown["hostId"] == ""
    assert shown["fault"]["code"] == 500
    assert "No valid host was found" in shown["fault"]["message"]
    assert "details" not in shown["fault"], "for admins only"
    admin = show(world, server_id, token="admin")
    assert "hosts" in admin["fault"]["details"]
    assert show(world, server_id, "2.16", "admin")["host_status"] == ""


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["", "/metadata", "/tags", "/ips", "/os-instance-actions"])
def test_what_is_not_there(world: World, method: str, path: str) -> None:
    unknown = "00000000-0000-0000-0000-000000000000"
    server_id = world.boot()
    body: dict[str, Any] = {"server": {}, "metadata": {}, "tags": []}
    for id, token in ((unknown, "member"), (unknown, "admin"), (server_id, "stranger")):
        key = path[1:] or "server"
        wanted = {key: body[key]} if method == "PUT" and key in body else None
        answer = world.request(method, f"/servers/{id}{path}", wanted, token=token, version="2.104")
        assert answer.status_code == 404
        if method == "GET":
            refused(answer, 404, "itemNotFound", f"Instance {id} could not be found.")


def test_an_admin_sees_every_projects_servers(world: World) -> None:
    assert show(world, world.boot(), token="admin")["tenant_id"] == PROJECT


def test_update(world: World) -> None:
    server_id = world.boot()
    change = {
        "name": "renamed",
        "description": None,
        "hostname": "renamed-1",
        "accessIPv4": "192.0.2.7",
        "OS-DCF:diskConfig": "MANUAL",
    }
    answer = world.put(f"/servers/{server_id}", {"server": change}, version="2.90")
    assert answer.status_code == 200
    server = answer.json["server"]
    assert server["name"] == "renamed"
    assert server["accessIPv4"] == "192.0.2.7"
    assert server["OS-EXT-SRV-ATTR:hostname"] == "renamed-1"
    assert sorted(server) == sorted(show(world, server_id, "2.90"))


def test_before_2_75_an_update_answers_less(world: World) -> None:
    server_id = world.boot()
    answer = world.put(
        f"/servers/{server_id}", {"server": {"name": "x"}}, version="2.74", token="admin"
    )
    server = answer.json["server"]
    assert "locked_reason" in server
    for absent in ("key_name", "OS-EXT-STS:vm_state", "OS-EXT-SRV-ATTR:host", "host_status"):
        assert absent not in server


@pytest.mark.parametrize(
    ("version", "change"),
    [
        ("2.1", {"name": ""}),
        ("2.1", {"name": None}),
        ("2.1", {"metadata": {}}),
        ("2.18", {"description": "x"}),
        ("2.89", {"hostname": "h1"}),
        ("2.103", {"pinned_availability_zone": None}),
        ("2.1", {"accessIPv4": "x"}),
        ("2.1", {"OS-DCF:diskConfig": "auto"}),
    ],
)
def test_updates_that_cannot_be(world: World, version: str, change: dict[str, Any]) -> None:
    server_id = world.boot()
    answer = world.put(f"/servers/{server_id}", {"server": change}, version=version)
    refused(answer, 400, "badRequest")


def test_pinning_a_zone(world: World) -> None:
    server_id = world.boot({"availability_zone": "nova"})
    for pin, status, shown in (
        ("nova", 200, "nova"),
        ("mars", 409, "nova"),
        (None, 200, None),
        (None, 200, None),
        ("nova", 200, "nova"),
    ):
        change = {"server": {"pinned_availability_zone": pin}}
        answer = world.put(f"/servers/{server_id}", change, version="2.104")
        assert answer.status_code == status, answer.text
        server = world.get(f"/servers/{server_id}", version="2.104").json["server"]
        assert server["pinned_availability_zone"] == shown


def test_the_disk_config_can_be_changed(world: World) -> None:
    server_id = world.boot()
    for wanted in ("AUTO", "AUTO", "MANUAL"):
        answer = world.put(f"/servers/{server_id}", {"server": {"OS-DCF:diskConfig": wanted}})
        assert answer.status_code == 200
        assert answer.json["server"]["OS-DCF:diskConfig"] == wanted


def test_addresses_are_kept_in_their_canonical_form(world: World) -> None:
    typed = "0000:0000:0000:0000:0000:babe:220.12.22.2"
    server_id = world.boot({"accessIPv6": typed})
    server = world.get(f"/servers/{server_id}").json["server"]
    assert server["accessIPv6"] == "::babe:dc0c:1602"
    change = {"server": {"accessIPv6": "2001:0DB8::0001", "accessIPv4": "192.0.2.1"}}
    server = world.put(f"/servers/{server_id}", change).json["server"]
    assert (server["accessIPv6"], server["accessIPv4"]) == ("2001:db8::1", "192.0.2.1")


def test_a_reader_may_look_but_not_touch(world: World) -> None:
    server_id = world.boot()
    assert world.get(f"/servers/{server_id}", token="reader").status_code == 200
    answer = world.put(f"/servers/{server_id}", {"server": {"name": "x"}}, token="reader")
    refused(answer, 403, "forbidden", "os_compute_api:servers:update")
    answer = world.delete(f"/servers/{server_id}", token="reader")
    refused(answer, 403, "forbidden", "os_compute_api:servers:delete")


def test_a_deleted_server_is_gone(world: World) -> None:
    server_id = world.boot()
    answer = world.delete(f"/servers/{server_id}")
    assert (answer.status_code, answer.text) == (204, "")
    assert show(world, server_id)["OS-EXT-STS:task_state"] == "deleting"
    assert world.delete(f"/servers/{server_id}").status_code == 204, "again, while it goes"
    world.work()
    for method in ("GET", "DELETE"):
        for token in ("member", "admin"):
            answer = world.request(method, f"/servers/{server_id}", token=token)
            refused(answer, 404, "itemNotFound", server_id)


def test_links_without_and_with_the_project(world: World) -> None:
    server_id = world.boot()
    assert show(world, server_id)["links"] == [
        {"rel": "self", "href": f"http://cloud.test/compute/v2.1/servers/{server_id}"},
        {"rel": "bookmark", "href": f"http://cloud.test/compute/servers/{server_id}"},
    ]
    answer = world.get(f"/{OPERATORS}/servers/{server_id}", token="admin")
    assert f"/v2.1/{OPERATORS}/servers/" in answer.json["server"]["links"][0]["href"]


def test_unknown_query_parameters_are_refused_from_2_102(world: World) -> None:
    server_id = world.boot()
    assert world.get(f"/servers/{server_id}?x=1", version="2.101").status_code == 200
    answer = world.get(f"/servers/{server_id}?x=1", version="2.102")
    refused(answer, 400, "badRequest", "'x' was unexpected")
