"""A guest's disks in its libvirt domain: buses, device names and limits, by image and flavor.

Names follow the order root, ephemeral, swap, config drive (vda, vdb, ...; an IDE or SATA cdrom
counts on its own), so they stay the same however often the domain is defined. The root disk of an
ISO image is a cdrom.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from string import ascii_lowercase

from lxml import etree
from lxml.builder import E

from commands.numbers import whole_number
from handlers.compute.drivers.config_drive import FILE_NAME as CONFIG_DRIVE
from handlers.compute.drivers.config_drive import wants_config_drive
from handlers.compute.drivers.contract import DriverError, GuestSpec
from handlers.compute.drivers.disks import disks_of, is_optical

_PREFIX = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd"}
_PREFIXES = frozenset(_PREFIX.values())
_IO_LIMITS = tuple(
    f"{way}_{what}_sec" for way in ("read", "total", "write") for what in ("bytes", "iops")
)
_MACHINES_WITHOUT_IDE = ("q35", "virt", "microvm")


def disk_elements(
    spec: GuestSpec, folder: Path, machine: str, disk_cache: str
) -> list[etree._Element]:
    """The `<disk>` elements, in the order of their names."""
    bus, optical_bus = _bus(spec, "hw_disk_bus", "virtio"), _optical_bus(spec, machine)
    letters: dict[str, Iterator[str]] = {prefix: iter(ascii_lowercase) for prefix in _PREFIXES}
    elements = []
    for disk in disks_of(spec):
        optical = disk.role == "root" and is_optical(spec)
        driver = E.driver(name="qemu", type="qcow2", cache=disk_cache)
        element = _disk(
            folder / disk.file_name, driver, optical_bus if optical else bus, optical, letters
        )
        limits = _io_limits(spec.flavor_extra_specs)
        if limits is not None:
            element.append(limits)
        elements.append(element)
    if wants_config_drive(spec):
        driver = E.driver(name="qemu", type="raw")
        element = _disk(folder / CONFIG_DRIVE, driver, optical_bus, True, letters)
        element.append(E.readonly())
        elements.append(element)
    return elements


def boot_device(spec: GuestSpec, machine: str) -> str:
    """What the firmware boots: hd, or cdrom for an ISO image."""
    return "cdrom" if is_optical(spec) and _optical_bus(spec, machine) != "virtio" else "hd"


def _disk(
    path: Path,
    driver: etree._Element,
    bus: str,
    optical: bool,
    letters: Mapping[str, Iterator[str]],
) -> etree._Element:
    """A disk of the next free name. On a virtio bus there are no optical drives, as in Nova."""
    device = "cdrom" if optical and bus != "virtio" else "disk"
    name = _PREFIX[bus] + next(letters[_PREFIX[bus]])
    source, target = E.source(file=str(path)), E.target(dev=name, bus=bus)
    return E.disk(driver, source, target, type="file", device=device)


def _optical_bus(spec: GuestSpec, machine: str) -> str:
    without_ide = any(kind in machine for kind in _MACHINES_WITHOUT_IDE)
    return _bus(spec, "hw_cdrom_bus", "sata" if without_ide else "ide")


def _io_limits(extra_specs: Mapping[str, str]) -> etree._Element | None:
    """The flavor's quota:disk_* limits, e.g. quota:disk_read_bytes_sec."""
    limits = [
        E(name, str(limit))
        for name in _IO_LIMITS
        if (limit := whole_number(extra_specs.get(f"quota:disk_{name}", ""), None)) is not None
    ]
    return E.iotune(*limits) if limits else None


def _bus(spec: GuestSpec, name: str, default: str) -> str:
    bus = spec.image_properties.get(name, default)
    if bus not in _PREFIX:
        raise DriverError(f"Image {spec.image_id} wants {name}={bus}, which this host has not.")
    return bus
