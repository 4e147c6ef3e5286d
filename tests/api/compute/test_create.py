"""POST /servers: what is accepted, in what order it is refused, what is recorded of it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from commands.compute.bootable import BOOTABLE_FORMATS
from commands.compute.create import CreateServers
from commands.compute.quota import ResetQuotas, SetQuotas
from tests.api.compute.world import OTHER, World, refused

ROOT = {
    "boot_index": 0,
    "source_type": "image",
    "destination_type": "local",
    "delete_on_termination": True,
}


def last_command(world: World) -> CreateServers:
    return next(c for c in reversed(world.bus.commands) if isinstance(c, CreateServers))


def test_the_answer(world: World) -> None:
    answer = world.create()
    server = answer.json["server"]
    assert answer.status_code == 202
    assert set(server) == {"id", "links", "OS-DCF:diskConfig", "security_groups", "adminPass"}
    assert server["OS-DCF:diskConfig"] == "MANUAL"
    assert server["security_groups"] == [{"name": "default"}]
    assert [link["rel"] for link in server["links"]] == ["self", "bookmark"]
    assert answer.headers["location"] == server["links"][0]["href"]


def test_everything_that_can_be_asked_for(world: World) -> None:
    world.key_pair("everything")
    data = base64.b64encode(b"#!/bin/sh\n").decode()
    server_id = _everything(world, data)
    shown = world.get(f"/servers/{server_id}", version="2.104", token="project-admin").json
    server = shown["server"]
    assert server["metadata"] == {"role": "web", "a.b:c-d_e f": ""}
    assert server["tags"] == ["one", "two"]
    assert server["key_name"] == "everything"
    assert server["config_drive"] == "True"
    assert server["description"] == "A server"
    assert server["accessIPv4"] == "192.0.2.1"
    assert server["accessIPv6"] == "2001:db8::1"
    assert server["OS-DCF:diskConfig"] == "AUTO"
    assert server["OS-EXT-SRV-ATTR:hostname"] == "web-1.example.org"
    assert server["OS-EXT-SRV-ATTR:user_data"] == data
    assert server["pinned_availability_zone"] == "nova"
    assert server["scheduler_hints"] == {"same_host": [], "note": "x"}
    command = last_command(world)
    assert command.public_key is not None
    assert command.public_key.public_key == "ssh-ed25519 AAAAC3Nza alice"
    assert command.image is not None
    assert command.image.properties == {"hw_disk_bus": "virtio"}
    assert command.networks == "auto"


def _everything(world: World, data: str) -> str:
    server = {
        "name": "all",
        "imageRef": world.image_id,
        "flavorRef": "http://cloud.test/compute/flavors/m1.tiny",
        "metadata": {"role": "web", "a.b:c-d_e f": ""},
        "key_name": "everything",
        "user_data": data,
        "availability_zone": "nova",
        "config_drive": "True",
        "description": "A server",
        "tags": ["one", "two", "one"],
        "hostname": "web-1.example.org",
        "accessIPv4": "192.0.2.1",
        "accessIPv6": "2001:db8::1",
        "OS-DCF:diskConfig": "AUTO",
        "min_count": "1",
        "max_count": 1,
        "security_groups": [{"name": "default"}, {"name": "default"}],
        "networks": "auto",
        "block_device_mapping_v2": [{**ROOT, "uuid": world.image_id}],
    }
    hints = {"same_host": [], "note": "x", "_nova_check_type": "y"}
    answer = world.post(
        "/servers", {"server": server, "os:scheduler_hints": hints}, version="2.104"
    )
    assert answer.status_code == 202, answer.text
    world.work()
    server_id: str = answer.json["server"]["id"]
    return server_id


def test_before_2_19_the_description_is_the_name(world: World) -> None:
    server_id = world.boot(version="2.1")
    assert world.get(f"/servers/{server_id}", version="2.19").json["server"]["description"] == "vm1"


def test_several_at_once(world: World) -> None:
    answer = world.create({"name": "Web Farm", "min_count": 2, "max_count": 3})
    assert answer.status_code == 202
    world.work()
    servers = last_command(world).servers
    assert [s.name for s in servers] == ["Web Farm-1", "Web Farm-2", "Web Farm-3"]
    assert [s.hostname for s in servers] == ["web-farm-1", "web-farm-2", "web-farm-3"]
    assert answer.json["server"]["id"] == servers[0].server_id
    shown = [world.get(f"/servers/{s.server_id}").json["server"]["status"] for s in servers]
    assert shown == ["ACTIVE"] * 3


def test_a_reservation_id_instead_of_a_server(world: World) -> None:
    answer = world.create({"min_count": 2, "return_reservation_id": "true"})
    assert list(answer.json) == ["reservation_id"]
    assert answer.json["reservation_id"] == last_command(world).reservation_id
    path = f"/servers?reservation_id={answer.json['reservation_id']}"
    assert len(world.get(path).json["servers"]) == 2


SCHEMA: list[tuple[str, dict[str, Any], str]] = [
    ("2.1", {"name": ""}, "name"),
    ("2.1", {"name": " x"}, "name"),
    ("2.1", {"name": "x\n"}, "name"),
    ("2.1", {"name": "x" * 256}, "name"),
    ("2.1", {"name": 3}, "3 is not of type 'string'"),
    ("2.1", {"flavorRef": None}, "flavorRef"),
    ("2.1", {"flavorRef": ""}, "flavorRef"),
    ("2.1", {"imageRef": "demo"}, "imageRef"),
    ("2.1", {"imageRef": 1}, "imageRef"),
    ("2.1", {"metadata": {"k": 1}}, "k"),
    ("2.1", {"metadata": {"k" * 256: ""}}, "were unexpected|was unexpected"),
    ("2.1", {"metadata": []}, "metadata"),
    ("2.1", {"min_count": 0}, "min_count"),
    ("2.1", {"min_count": -1}, "min_count"),
    ("2.1", {"min_count": "two"}, "min_count"),
    ("2.1", {"min_count": True}, "min_count"),
    ("2.1", {"config_drive": "perhaps"}, "config_drive"),
    ("2.1", {"config_drive": 1}, "config_drive"),
    ("2.1", {"OS-DCF:diskConfig": "auto"}, "OS-DCF:diskConfig"),
    ("2.1", {"accessIPv4": "1.2.3"}, "accessIPv4"),
    ("2.1", {"accessIPv6": "1.2.3.4"}, "accessIPv6"),
    ("2.1", {"user_data": "no base64!"}, "user_data"),
    ("2.1", {"user_data": "A" * 65536}, "user_data"),
    ("2.1", {"security_groups": [{"id": "x"}]}, "id"),
    ("2.1", {"block_device_mapping_v2": [{"source_type": "tape"}]}, "source_type"),
    ("2.1", {"block_device_mapping_v2": [{"boot_index": "first"}]}, "boot_index"),
    ("2.1", {"networks": "none"}, "networks"),
    ("2.1", {"description": "x"}, "description"),
    ("2.18", {"description": "x"}, "description"),
    ("2.19", {"description": "x" * 256}, "description"),
    ("2.51", {"tags": ["x"]}, "tags"),
    ("2.52", {"tags": ["a,b"]}, "a,b"),
    ("2.52", {"tags": ["a/b"]}, "a/b"),
    ("2.52", {"tags": ["nul\x00"]}, "U+0000"),
    ("2.52", {"tags": [str(i) for i in range(51)]}, "tags"),
    ("2.57", {"personality": []}, "personality"),
    ("2.62", {"trusted_image_certificates": ["x"]}, "trusted_image_certificates"),
    ("2.73", {"host": "c1"}, "host"),
    ("2.89", {"hostname": "h1"}, "hostname"),
    ("2.90", {"hostname": "h1.example.org"}, "hostname"),
    ("2.94", {"hostname": "h1 x"}, "hostname"),
    ("2.37", {"networks": "some"}, "networks"),
    ("2.37", {"networks": [{"uuid": "x"}]}, "uuid"),
    ("2.104", {"surprise": 1}, "Additional properties are not allowed ('surprise' was unexpected)"),
]


@pytest.mark.parametrize(("version", "change", "text"), SCHEMA)
def test_the_schema(world: World, version: str, change: dict[str, Any], text: str) -> None:
    body: dict[str, Any] = {"name": "x", "imageRef": world.image_id, "flavorRef": "m1.tiny"}
    if int(version.split(".")[1]) >= 37:
        body["networks"] = "none"
    answer = world.post("/servers", {"server": body | change}, version=version)
    assert answer.status_code == 400, answer.text
    message = answer.json["badRequest"]["message"]
    assert any(part in message for part in text.split("|")), message


@pytest.mark.parametrize("missing", ["name", "flavorRef", "networks"])
def test_what_must_be_there(world: World, missing: str) -> None:
    body = {"name": "x", "imageRef": world.image_id, "flavorRef": "m1.tiny", "networks": "none"}
    del body[missing]
    answer = world.post("/servers", {"server": body}, version="2.37")
    refused(answer, 400, "badRequest", f"'{missing}' is a required property")


@pytest.mark.parametrize(
    ("change", "status", "name", "text"),
    [
        ({"flavorRef": "m9.none"}, 400, "badRequest", "Flavor m9.none could not be found"),
        ({"imageRef": "0" * 32}, 400, "badRequest", f"Image {'0' * 32} could not be found"),
        ({"imageRef": ""}, 400, "badRequest", "Invalid imageRef provided"),
        ({"key_name": "lost"}, 400, "badRequest", "Invalid key_name provided"),
        ({"min_count": 3, "max_count": 2}, 400, "badRequest", "min_count must be <= max_count"),
        ({"max_count": 10**30}, 400, "badRequest", "max_count must be <="),
        ({"max_count": 2, "hostname": "h1"}, 400, "badRequest", "single hostname"),
        ({"availability_zone": "mars"}, 400, "badRequest", "zone is not available"),
        ({"availability_zone": "a:b:c:d"}, 400, "badRequest", "Unable to parse"),
        ({"availability_zone": "nova:c1"}, 403, "forbidden", "servers:create:forced_host"),
        ({"host": "c1"}, 403, "forbidden", "compute:servers:create:requested_destination"),
        ({"networks": [{"uuid": "0" * 32}]}, 400, "badRequest", "Network 0"),
        ({"networks": [{"port": "0" * 32}]}, 400, "badRequest", "Port id 0"),
        ({"networks": [{"tag": "x"}]}, 400, "badRequest", "Missing network uuid or port"),
        ({"security_groups": [{"name": "web"}]}, 400, "badRequest", "Security group web not found"),
        ({"metadata": {str(i): "" for i in range(129)}}, 403, "forbidden", "metadata items"),
        ({"block_device_mapping": [{"volume_id": "x"}]}, 400, "badRequest", "no volume service"),
        ({"trusted_image_certificates": ["x"]}, 400, "badRequest", "certificate"),
    ],
)
def test_what_cannot_be(
    world: World, change: dict[str, Any], status: int, name: str, text: str
) -> None:
    before = len(world.bus.commands)
    refused(world.create(change), status, name, text)
    assert len(world.bus.commands) == before, "nothing was asked of the decider"


@pytest.mark.parametrize(
    ("devices", "text"),
    [
        ([{**ROOT, "boot_index": 1}], "Boot sequence"),
        ([{**ROOT, "uuid": "9" * 32}], "image to local"),
        ([{"source_type": "blank", "destination_type": "local"}], "Boot sequence"),
        ([{**ROOT, "destination_type": "volume", "volume_size": 1}], "no volume service"),
        ([{"source_type": "volume", "uuid": "x", "boot_index": 0}], "no volume service"),
        ([{"boot_index": 0}], "source_type must be given"),
        ([{**ROOT}, {"source_type": "blank", "volume_size": 1}], "follow from its flavor"),
        ([{**ROOT}] * 4, "more local devices"),
    ],
)
def test_block_devices_that_cannot_be(
    world: World, devices: list[dict[str, Any]], text: str
) -> None:
    given = [{"uuid": world.image_id} | device for device in devices]
    if devices[0].get("source_type") == "blank":
        given[0].pop("uuid")
    refused(world.create({"block_device_mapping_v2": given}), 400, "badRequest", text)


def test_file_injection_is_refused_where_it_existed(world: World) -> None:
    body = {"name": "x", "imageRef": world.image_id, "flavorRef": "m1.tiny"}
    body["personality"] = [{"path": "/etc/motd", "contents": "aGk="}]  # type: ignore[assignment]
    refused(world.post("/servers", {"server": body}), 400, "badRequest", "File injection")


def test_an_image_that_is_not_active(world: World) -> None:
    image = world.queued_image("empty")
    refused(world.create({"imageRef": image}), 400, "badRequest", f"Image {image} is not active")


def test_an_image_of_another_project(world: World) -> None:
    image = world.image("theirs", OTHER, visibility="private")
    refused(world.create({"imageRef": image}), 400, "badRequest", "could not be found")


def test_an_image_that_does_not_fit_the_flavor(world: World) -> None:
    ram = world.image("ram", min_ram_mib=4096)
    refused(world.create({"imageRef": ram}), 400, "badRequest", "memory is too small")
    disk = world.image("disk", min_disk_gib=20)
    refused(world.create({"imageRef": disk}), 400, "badRequest", "minimum size specified in image")


@pytest.mark.parametrize(
    ("size_gib", "virtual_size_gib", "needed_gib"),
    [(2, None, 2), (2, 1, 2), (0, 6, 6), (1, 1024 * 1024, 1024 * 1024)],
)
def test_an_image_whose_disk_is_larger_than_the_flavors(
    world: World, size_gib: int, virtual_size_gib: int | None, needed_gib: int
) -> None:
    virtual = None if virtual_size_gib is None else virtual_size_gib << 30
    given: dict[str, Any] = {
        "disk_format": "qcow2",
        "size_bytes": size_gib << 30,
        "virtual_size_bytes": virtual,
    }
    body = {"imageRef": world.image("big", **given)}
    text = f"Flavor disk is {1 << 30} bytes, image is {needed_gib << 30} bytes."
    refused(world.create(body), 400, "badRequest", text)


@pytest.mark.parametrize("disk_format", ["ami", "ari", "aki", "ploop"])
def test_an_image_of_a_format_that_cannot_boot(world: World, disk_format: str) -> None:
    container = disk_format if disk_format != "ploop" else "bare"
    image = world.image("part", disk_format=disk_format, container_format=container)
    text = f"Disk format {disk_format} is not acceptable"
    refused(world.create({"imageRef": image}), 400, "badRequest", text)


@pytest.mark.parametrize("disk_format", sorted(BOOTABLE_FORMATS))
def test_an_image_of_a_format_that_boots(world: World, disk_format: str) -> None:
    image = world.image("whole", disk_format=disk_format)
    assert world.create({"imageRef": image}).status_code == 202


def test_a_small_image_whose_disk_just_fits(world: World) -> None:
    for virtual in (None, 1 << 30):
        image = world.image("fits", disk_format="qcow2", virtual_size_bytes=virtual)
        assert world.create({"imageRef": image}).status_code == 202


def test_a_flavor_without_root_disk_is_for_admins(world: World) -> None:
    world.flavor("zero", root_gib=0)
    refused(world.create({"flavorRef": "zero"}), 403, "forbidden", "zero disk")
    assert world.create({"flavorRef": "zero"}, token="project-admin").status_code == 202


def test_flavors_one_may_not_use(world: World) -> None:
    world.flavor("off", disabled=True)
    refused(world.create({"flavorRef": "off"}), 400, "badRequest", "Flavor off could not be found")
    world.flavor("private", is_public=False, project_ids=[OTHER])
    refused(world.create({"flavorRef": "private"}), 400, "badRequest", "Flavor private")
    assert world.create({"flavorRef": "private"}, token="stranger").status_code == 202


def test_over_quota(world: World) -> None:
    world.bus.send(SetQuotas(project_id=OTHER, limits={"instances": 1}), OTHER)
    answer = world.create({"min_count": 2}, token="stranger")
    refused(answer, 403, "forbidden", "Quota exceeded for instances")
    world.bus.send(ResetQuotas(project_id=OTHER), OTHER)


def test_a_reader_may_not(world: World) -> None:
    refused(world.create(token="reader"), 403, "forbidden", "os_compute_api:servers:create")


def test_a_system_token_may_not(world: World) -> None:
    refused(world.create(token="system"), 403, "forbidden", "os_compute_api:servers:create")


def test_admins_choose_hosts(world: World) -> None:
    forced = world.boot({"availability_zone": "nova:c1"}, token="project-admin")
    by_node = world.boot({"availability_zone": "nova::c1.test"}, token="project-admin")
    asked = world.boot({"hypervisor_hostname": "c1.test"}, token="project-admin")
    for server_id in (forced, by_node, asked):
        shown = world.get(f"/servers/{server_id}", token="project-admin").json["server"]
        assert shown["OS-EXT-SRV-ATTR:host"] == "c1"
    answer = world.create({"host": "c9"}, token="project-admin")
    refused(answer, 400, "badRequest", "Compute host c9 could not be found")
    answer = world.create({"availability_zone": "nova:c1", "host": "c1"}, token="project-admin")
    refused(answer, 400, "badRequest")


def test_a_forced_host_comes_with_its_own_zone(world: World) -> None:
    def zone(server_id: str) -> str:
        server = world.get(f"/servers/{server_id}", token="project-admin").json["server"]
        return str(server["OS-EXT-AZ:availability_zone"])

    wanted = {"availability_zone": "mars:c1"}
    assert zone(world.boot(wanted, token="project-admin")) == "nova"
    world.flavor("huge", ram_mib=2**30)
    unplaced = world.create({**wanted, "flavorRef": "huge"}, token="project-admin")
    assert zone(unplaced.json["server"]["id"]) == ""


def test_a_server_group_that_does_not_exist(world: World) -> None:
    body = {"name": "x", "imageRef": world.image_id, "flavorRef": "m1.tiny"}
    hints = {"group": "0" * 32}
    answer = world.post("/servers", {"server": body, "OS-SCH-HNT:scheduler_hints": hints})
    refused(answer, 400, "badRequest", "Instance group")


def test_an_idempotency_key_makes_one_server(world: World) -> None:
    key = {"Idempotency-Key": "first try"}
    one = world.create(headers=key)
    again = world.create(headers=key)
    assert one.status_code == again.status_code == 202
    assert one.json == again.json, "the same id, and the same password"
    refused(world.create({"name": "other"}, headers=key), 409, "conflictingRequest")
    elsewhere = world.create(headers=key, token="stranger")
    assert elsewhere.json["server"]["id"] != one.json["server"]["id"]
    refused(world.create(headers={"Idempotency-Key": "k" * 256}), 400, "badRequest")
    refused(world.create(headers={"Idempotency-Key": " "}), 400, "badRequest")
