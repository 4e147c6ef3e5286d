"""The openstack command against a whole site: what a server can be given, what is around it."""

from __future__ import annotations

import base64
from pathlib import Path

from tests.parts.site import Site

BOOT = ("server", "create", "--image", "demo", "--flavor", "m1.tiny", "--nic", "none", "--wait")


def test_many_at_once(site: Site) -> None:
    site.openstack(*BOOT, "--min", "3", "--max", "3", "many")
    found = site.shown("server", "list", "--name", "^many-")
    assert sorted(server["Name"] for server in found) == ["many-1", "many-2", "many-3"]
    assert {server["Status"] for server in found} == {"ACTIVE"}
    assert {server["Image"] for server in found} == {"demo"}
    assert {server["Flavor"] for server in found} == {"m1.tiny"}
    site.openstack("server", "delete", "--wait", "many-1", "many-2", "many-3")
    assert site.shown("server", "list", "--name", "^many-") == []


def test_all_that_a_server_can_be_given(site: Site, tmp_path: Path) -> None:
    private_key, user_data = tmp_path / "key", tmp_path / "user-data"
    user_data.write_text("#!/bin/sh\necho hello\n")
    made = site.openstack("keypair", "create", "--private-key", str(private_key), "given").out
    assert "given" in made
    assert private_key.read_text().startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    site.secrets.add("".join(private_key.read_text().splitlines()[2:4]))
    given = ["--key-name", "given", "--user-data", str(user_data), "--config-drive", "True"]
    given += ("--property", "role=web", "--property", "rack=7", "--tag", "blue")
    given += ("--description", "has everything", "--hint", "group_of=none")
    site.openstack(*BOOT, *given, "given")
    shown = site.shown("server", "show", "given")
    assert (shown["key_name"], shown["config_drive"]) == ("given", "True")
    assert (shown["properties"], shown["tags"]) == ({"rack": "7", "role": "web"}, ["blue"])
    assert shown["description"] == "has everything"
    sent = base64.b64encode(user_data.read_bytes()).decode()
    assert shown["OS-EXT-SRV-ATTR:user_data"] == sent

    site.openstack("server", "set", "--property", "role=db", "--tag", "green", "given")
    site.openstack("server", "unset", "--property", "rack", "--tag", "blue", "given")
    site.openstack("server", "set", "--name", "renamed", "--description", "less", "given")
    shown = site.shown("server", "show", "renamed")
    assert (shown["properties"], shown["tags"]) == ({"role": "db"}, ["green"])

    site.openstack("server", "lock", "--reason", "audit", "renamed")
    shown = site.shown("server", "show", "renamed")
    assert (shown["locked"], shown["locked_reason"]) == (True, "audit")
    site.openstack("server", "unlock", "renamed")
    assert site.shown("server", "show", "renamed")["locked"] is False
    site.openstack("server", "delete", "--wait", "renamed")
    site.openstack("keypair", "delete", "given")
    assert site.shown("keypair", "list") == []


def test_flavors(site: Site) -> None:
    names = {flavor["Name"] for flavor in site.shown("flavor", "list")}
    assert {"m1.tiny", "m1.small", "m1.medium", "m1.large", "m1.xlarge"} <= names
    size = ("--ram", "256", "--vcpus", "2", "--disk", "1", "--property", "hw:cpu_policy=shared")
    site.openstack("flavor", "create", *size, "c1.small")
    shown = site.shown("flavor", "show", "c1.small")
    assert (shown["ram"], shown["vcpus"], shown["properties"]) == (
        256,
        2,
        {"hw:cpu_policy": "shared"},
    )
    site.openstack("flavor", "delete", "c1.small")
    missing = site.openstack("flavor", "show", "c1.small", code=1)
    assert missing.error.strip() == "No Flavor found for c1.small"


def test_images(site: Site, tmp_path: Path) -> None:
    disk, copy = tmp_path / "disk", tmp_path / "copy"
    disk.write_bytes(bytes(range(256)) * 4096)
    site.openstack("image", "create", "--file", str(disk), "--disk-format", "raw", "own")
    shown = site.shown("image", "show", "own")
    assert (shown["status"], shown["size"]) == ("active", 1 << 20)
    site.openstack("image", "save", "--file", str(copy), "own")
    assert copy.read_bytes() == disk.read_bytes()
    boot = [word if word != "demo" else "own" for word in BOOT]
    site.openstack(*boot, "of-own")
    assert site.shown("server", "show", "of-own")["status"] == "ACTIVE"
    site.openstack("server", "delete", "--wait", "of-own")
    site.openstack("image", "delete", "own")
    assert [image["Name"] for image in site.shown("image", "list")] == ["demo"]


def test_services_and_hypervisors(site: Site) -> None:
    services = site.shown("compute", "service", "list")
    states = {(service["Binary"], service["Status"], service["State"]) for service in services}
    names = ("nova-compute", "nova-conductor", "nova-scheduler")
    assert states == {(name, "enabled", "up") for name in names}
    (found,) = site.shown("hypervisor", "list")
    shown = site.shown("hypervisor", "show", found["Hypervisor Hostname"])
    assert (shown["state"], shown["status"]) == ("up", "enabled")
    assert shown["hypervisor_type"] == "simulated"
    types = {service["Type"] for service in site.shown("catalog", "list")}
    assert types == {"compute", "identity", "image", "placement"}
