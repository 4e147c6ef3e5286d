"""The domain's definition: valid by libvirt's own schema, and as image and flavor want it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from handlers.compute.drivers.contract import DriverError, GuestSpec
from handlers.compute.drivers.domain_xml import DomainHost, domain_xml, ownership, wanted_ownership
from tests.handlers.compute.drivers.rigs import BLANK, Image, full_spec, spec_for

SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")
HOST = DomainHost(name="host-1", virt_type="qemu")
FOLDER = Path("/instances/guest")


def tree_of(spec: GuestSpec, host: DomainHost = HOST) -> Any:
    return etree.fromstring(domain_xml(spec, host, FOLDER))


def with_properties(**properties: str) -> GuestSpec:
    return spec_for(Image(BLANK), config_drive=True, image_properties=properties)


def disk_names(tree: Any) -> list[tuple[str, str, str]]:
    return [
        (disk.get("device"), disk.find("target").get("bus"), disk.find("target").get("dev"))
        for disk in tree.findall("devices/disk")
    ]


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"hw_machine_type": "q35", "hw_firmware_type": "uefi"},
        {"hw_disk_bus": "scsi", "hw_cdrom_bus": "scsi"},
        {"hw_disk_bus": "usb", "hw_cdrom_bus": "virtio"},
        {"hw_qemu_guest_agent": "yes", "hw_watchdog_action": "reset"},
        {"hw_video_model": "none", "hw_pointer_model": "usbtablet", "os_type": "windows"},
    ],
)
@pytest.mark.parametrize("virt_type", ["qemu", "kvm"])
@pytest.mark.usefixtures("libvirt_uri")
def test_libvirts_schema_accepts_it(properties: dict[str, str], virt_type: str) -> None:
    spec = GuestSpec(
        **{
            field: getattr(full_spec(Image(BLANK)), field)
            for field in GuestSpec.__struct_fields__
            if field not in ("image_properties", "flavor_extra_specs")
        },
        image_properties=properties,
        flavor_extra_specs={"quota:cpu_shares": "512", "quota:disk_read_bytes_sec": "1000000"},
    )
    host = DomainHost(name="host-1", virt_type=virt_type)
    schema = etree.RelaxNG(file=str(SCHEMA))
    tree = tree_of(spec, host)
    assert schema.validate(tree), schema.error_log


def test_disks_in_the_order_of_their_names() -> None:
    assert disk_names(tree_of(full_spec(Image(BLANK)))) == [
        ("disk", "virtio", "vda"),
        ("disk", "virtio", "vdb"),
        ("disk", "virtio", "vdc"),
        ("cdrom", "ide", "hda"),
    ]


@pytest.mark.parametrize("os_type", ["windows", "Windows"])
def test_the_clock_of_windows_is_local(os_type: str) -> None:
    """However it is written: the API lets both pass, as Nova's does."""
    assert tree_of(with_properties(os_type=os_type)).find("clock").get("offset") == "localtime"


@pytest.mark.parametrize(
    ("properties", "root", "cdrom"),
    [
        ({"hw_machine_type": "q35"}, ("disk", "virtio", "vda"), ("cdrom", "sata", "sda")),
        ({"hw_disk_bus": "ide"}, ("disk", "ide", "hda"), ("cdrom", "ide", "hdb")),
        ({"hw_disk_bus": "scsi"}, ("disk", "scsi", "sda"), ("cdrom", "ide", "hda")),
        ({"hw_cdrom_bus": "virtio"}, ("disk", "virtio", "vda"), ("disk", "virtio", "vdb")),
    ],
)
def test_buses_by_the_image(
    properties: dict[str, str], root: tuple[str, ...], cdrom: tuple[str, ...]
) -> None:
    assert disk_names(tree_of(with_properties(**properties))) == [root, cdrom]


@pytest.mark.parametrize(
    ("properties", "names", "boot"),
    [
        (
            {},
            [("cdrom", "ide", "hda"), ("disk", "virtio", "vda"), ("cdrom", "ide", "hdb")],
            "cdrom",
        ),
        (
            {"hw_machine_type": "q35"},
            [("cdrom", "sata", "sda"), ("disk", "virtio", "vda"), ("cdrom", "sata", "sdb")],
            "cdrom",
        ),
        (
            {"hw_cdrom_bus": "scsi", "hw_disk_bus": "scsi"},
            [("cdrom", "scsi", "sda"), ("disk", "scsi", "sdb"), ("cdrom", "scsi", "sdc")],
            "cdrom",
        ),
        (
            {"hw_cdrom_bus": "virtio"},
            [("disk", "virtio", "vda"), ("disk", "virtio", "vdb"), ("disk", "virtio", "vdc")],
            "hd",
        ),
    ],
)
def test_an_iso_image_is_a_cdrom(
    properties: dict[str, str], names: list[tuple[str, ...]], boot: str
) -> None:
    image = Image(BLANK, "iso")
    tree = tree_of(spec_for(image, config_drive=True, ephemeral_gib=1, image_properties=properties))
    assert disk_names(tree) == names
    assert tree.find("os/boot").get("dev") == boot


def test_a_bus_that_does_not_exist() -> None:
    with pytest.raises(DriverError, match="hw_disk_bus=floppynet"):
        tree_of(with_properties(hw_disk_bus="floppynet"))


def test_topology_by_flavor_then_image_then_sockets() -> None:
    image = Image(BLANK)

    def topology(**changes: Any) -> dict[str, str]:
        return dict(tree_of(spec_for(image, vcpus=4, **changes)).find("cpu/topology").attrib)

    assert topology() == {"sockets": "4", "cores": "1", "threads": "1"}
    by_image = {"hw_cpu_cores": "2"}
    assert topology(image_properties=by_image) == {"sockets": "2", "cores": "2", "threads": "1"}
    by_flavor = {"hw:cpu_cores": "4"}
    wanted = topology(image_properties=by_image, flavor_extra_specs=by_flavor)
    assert wanted == {"sockets": "1", "cores": "4", "threads": "1"}
    impossible = {"hw:cpu_cores": "3"}
    assert topology(flavor_extra_specs=impossible)["sockets"] == "4"


@pytest.mark.parametrize("text", ["\u00b2", "\u0662", "9" * 5000, "many", ""])
def test_numbers_that_are_none_count_as_not_given(text: str) -> None:
    specs = {"hw:cpu_cores": text, "quota:cpu_shares": text, "quota:disk_read_iops_sec": text}
    spec = spec_for(Image(BLANK), vcpus=2, flavor_extra_specs=specs)
    tree = tree_of(spec)
    assert tree.find("cpu/topology").get("sockets") == "2"
    assert tree.find("cputune") is None
    assert tree.find("devices/disk/iotune") is None


@pytest.mark.parametrize("text", ["\u00b2", "9" * 5000, "", "first"])
def test_a_generation_that_an_operator_broke_is_older_than_any(text: str) -> None:
    element = f"<server xmlns='urn:chronova:libvirt:1' host='host-1' generation='{text}'/>"
    assert ownership(element).generation == 0


def test_names_are_escaped_and_the_size_is_the_flavors() -> None:
    spec = spec_for(Image(BLANK), name='<&"vm>', ram_mib=512, vcpus=2)
    tree = tree_of(spec)
    nova = "{http://openstack.org/xmlns/libvirt/nova/1.1}"
    assert tree.findtext(f"metadata/{nova}instance/{nova}name") == '<&"vm>'
    assert tree.findtext("memory") == str(512 * 1024)
    assert tree.findtext("vcpu") == "2"
    assert tree.findtext("uuid") == spec.server_id
    assert tree.find("sysinfo/system/entry[@name='serial']").text == spec.server_id


def test_the_digest_follows_the_definition_only() -> None:
    spec = spec_for(Image(BLANK))

    def owner(changed: GuestSpec) -> tuple[int, str]:
        found = wanted_ownership(domain_xml(changed, HOST, FOLDER))
        assert found.host == "host-1"
        return found.generation, found.digest

    image = Image(BLANK)
    first = owner(spec)
    assert owner(spec) == first
    same = {"server_id": spec.server_id, "image_id": spec.image_id}
    assert owner(spec_for(image, generation=2, **same)) == (2, first[1])
    assert owner(spec_for(image, ram_mib=256, **same))[1] != first[1]


def test_random_numbers_unless_the_flavor_forbids_them() -> None:
    image = Image(BLANK)
    assert tree_of(spec_for(image)).find("devices/rng") is not None
    forbidden = spec_for(image, flavor_extra_specs={"hw_rng:allowed": "False"})
    assert tree_of(forbidden).find("devices/rng") is None
