"""A guest's disks in its libvirt domain: buses, device names and limits, by image and flavor.

Names follow the order root, ephemeral, swap, config drive (vda, vdb, ...; an IDE or SATA cdrom
counts on its own), so they stay the same however often the domain is defined.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import ascii_lowercase

from lxml import etree
from lxml.builder import E

from commands.numbers import whole_number
from handlers.compute.drivers.config_drive import FILE_NAME as CONFIG_DRIVE
from handlers.compute.drivers.config_drive import wants_config_drive
from handlers.compute.drivers.contract import DriverError, GuestSpec
from handlers.compute.drivers.disks import disks_of

_PREFIX = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd"}
_IO_LIMITS = tuple(
    f"{way}_{what}_sec" for way in ("read", "total", "write") for what in ("bytes", "iops")
)
_MACHINES_WITHOUT_IDE = ("q35", "virt", "microvm")


def disk_elements(
    spec: GuestSpec, folder: Path, machine: str, disk_cache: str
) -> list[etree._Element]:
    """The `<disk>` elements, in the order of their names."""
    bus = _bus(spec, "hw_disk_bus", "virtio")
    elements = []
    for disk, letter in zip(disks_of(spec), ascii_lowercase, strict=False):
        driver = E.driver(name="qemu", type="qcow2", cache=disk_cache)
        element = _disk(folder / disk.file_name, driver, "disk", f"{_PREFIX[bus]}{letter}", bus)
        limits = _io_limits(spec.flavor_extra_specs)
        if limits is not None:
            element.append(limits)
        elements.append(element)
    if wants_config_drive(spec):
        without_ide = any(kind in machine for kind in _MACHINES_WITHOUT_IDE)
        cdrom = _bus(spec, "hw_cdrom_bus", "sata" if without_ide else "ide")
        taken = len(elements) if _PREFIX[cdrom] == _PREFIX[bus] else 0
        name = f"{_PREFIX[cdrom]}{ascii_lowercase[taken]}"
        # On a virtio bus there are no optical drives: a read-only disk, as in Nova.
        device = "disk" if cdrom == "virtio" else "cdrom"
        driver = E.driver(name="qemu", type="raw")
        element = _disk(folder / CONFIG_DRIVE, driver, device, name, cdrom)
        element.append(E.readonly())
        elements.append(element)
    return elements


def _disk(path: Path, driver: etree._Element, device: str, name: str, bus: str) -> etree._Element:
    source, target = E.source(file=str(path)), E.target(dev=name, bus=bus)
    return E.disk(driver, source, target, type="file", device=device)


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
