"""What an image that a user uploaded really is, and its conversion to raw: never trusted.

qemu-img reads it under limits of memory, processor time, wall time and the size of what it writes.
The size of its disk is compared with the flavor, and room for it is promised (``disk_room``),
before anything is converted (CVE-2013-4463, CVE-2013-4469: a small compressed image filled hosts).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from handlers.compute.drivers import programs
from handlers.compute.drivers.contract import (
    DriverError,
    FlavorDiskTooSmall,
    GuestSpec,
    ImageCorrupt,
)
from handlers.compute.drivers.disk_room import room_for

GIB = 1 << 30
# Nova's limits for inspecting what a stranger uploaded (nova/virt/images.py).
INSPECT_LIMITS = ("prlimit", "--cpu=30", "--as=2147483648")
INSPECT_TIMEOUT_S = 60
CONVERT_TIMEOUT_S = 1800
# Glance's disk formats that can be booted, and qemu-img's names for them.
FORMATS = {
    "raw": "raw",
    "qcow2": "qcow2",
    "vmdk": "vmdk",
    "vdi": "vdi",
    "vhd": "vpc",
    "vhdx": "vhdx",
    "iso": "raw",
}
_VMDK_TYPES = ("streamOptimized", "monolithicSparse")


class Inspected(msgspec.Struct, frozen=True):
    """qemu-img's name of the format, and the size of the disk that the guest would see."""

    format: str
    virtual_size_bytes: int


def check_fits(spec: GuestSpec, image_bytes: int) -> None:
    """Raise ``FlavorDiskTooSmall`` when the flavor has a root disk, smaller than the image."""
    if 0 < spec.root_gib * GIB < image_bytes:
        raise FlavorDiskTooSmall(
            f"Flavor {spec.flavor_name}'s disk of {spec.root_gib} GiB is smaller than the image's "
            f"{image_bytes} bytes."
        )


def inspect(spec: GuestSpec, path: Path) -> Inspected:
    """Return what the data is. Raises ``ImageCorrupt`` when it is not what was declared, or refers
    to another file; ``DriverError`` for a format that cannot be booted."""
    declared = FORMATS.get(spec.image_disk_format)
    if declared is None:
        raise DriverError(f"Images of disk format {spec.image_disk_format} cannot be booted here.")
    shown = _shown(spec, "info", str(path))
    found = shown["format"]
    # A raw disk has no signature, so a fixed VHD looks raw and is right to.
    if found != declared and not (declared == "vpc" and found == "raw"):
        raise ImageCorrupt(f"Image {spec.image_id} is declared {declared} but its data is {found}.")
    details = shown.get("format-specific", {}).get("data", {})
    if "backing-filename" in shown or "data-file" in details:
        raise ImageCorrupt(f"Image {spec.image_id} refers to another file, which is not allowed.")
    if declared == "vmdk" and details.get("create-type") not in _VMDK_TYPES:
        raise ImageCorrupt(
            f"Image {spec.image_id} is a VMDK of type {details.get('create-type')}, "
            f"allowed are {', '.join(_VMDK_TYPES)}."
        )
    # For a fixed VHD the size by its footer, which "info" without a format does not read.
    if found != declared:
        shown = _shown(spec, "info", "-f", declared, str(path))
    return Inspected(declared, shown["virtual-size"])


def convert(spec: GuestSpec, inspected: Inspected, source: Path, target: Path) -> None:
    """Write the disk of ``source`` raw into ``target``. Raises ``DiskFull`` before it begins when
    the data has no room, ``ImageCorrupt`` when it cannot be read to its end."""
    check_fits(spec, inspected.virtual_size_bytes)
    # As qcow2, for which only allocated clusters count: raw files are sparse, too.
    measured = _shown(spec, "measure", "-f", inspected.format, "-O", "qcow2", str(source))
    limit = f"--fsize={inspected.virtual_size_bytes}"
    command = ["prlimit", limit, f"--cpu={CONVERT_TIMEOUT_S}", "qemu-img", "convert"]
    arguments = ["-f", inspected.format, "-O", "raw", str(source), str(target)]
    with room_for(spec, target, measured["required"]):
        programs.run([*command, *arguments], CONVERT_TIMEOUT_S)


def _shown(spec: GuestSpec, verb: str, *arguments: str) -> dict[str, Any]:
    """What qemu-img says of an image, as JSON."""
    command = [*INSPECT_LIMITS, "qemu-img", verb, "--output=json", *arguments]
    try:
        shown: dict[str, Any] = msgspec.json.decode(programs.run(command, INSPECT_TIMEOUT_S))
    except DriverError as error:
        raise ImageCorrupt(f"Image {spec.image_id} cannot be read: {error}") from error
    return shown
