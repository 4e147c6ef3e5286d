"""What an image's properties may ask of the host that its servers get.

A value that no host has is refused when the server is asked for: the build would only fail later.
Names that are not here mean nothing to hosts.
"""

from __future__ import annotations

from collections.abc import Mapping

import falcon

from api.compute.faults import bad_request

BUSES = frozenset({"virtio", "scsi", "sata", "usb", "ide"})
CHOICES = {
    "hw_disk_bus": BUSES,
    "hw_cdrom_bus": BUSES,
    "hw_scsi_model": frozenset(
        {"virtio-scsi", "lsilogic", "lsisas1068", "lsisas1078", "buslogic", "ibmvscsi", "vmpvscsi"}
    ),
    "hw_video_model": frozenset({"vga", "cirrus", "vmvga", "qxl", "virtio", "bochs", "none"}),
    "hw_watchdog_action": frozenset({"none", "pause", "poweroff", "reset", "disabled"}),
    "hw_firmware_type": frozenset({"bios", "uefi"}),
    "hw_pointer_model": frozenset({"usbtablet", "ps2mouse"}),
    "hw_cpu_policy": frozenset({"shared", "dedicated", "mixed"}),
    "hw_cpu_thread_policy": frozenset({"prefer", "isolate", "require"}),
    "img_config_drive": frozenset({"mandatory", "optional"}),
}
COUNTS = tuple(
    f"hw_cpu_{limit}{part}" for limit in ("", "max_") for part in ("sockets", "cores", "threads")
)
ENCRYPTED = "cinder_encryption_key_id"


def check_properties(properties: Mapping[str, str]) -> None:
    """Raises 400 for the first property with a value that no host takes."""
    if properties.get(ENCRYPTED):
        raise bad_request(
            "Direct booting of an image uploaded from an encrypted volume is unsupported."
        )
    for name, choices in CHOICES.items():
        if name in properties and properties[name] not in choices:
            raise _invalid(name, properties[name], f"one of {', '.join(sorted(choices))}")
    for name in COUNTS:
        text = properties.get(name, "0")
        if not (text.isascii() and text.isdecimal()):
            raise _invalid(name, text, "a whole number")


def _invalid(name: str, value: str, wanted: str) -> falcon.HTTPError:
    return bad_request(
        f"Invalid image metadata. Error: {name} is {value[:80]!r}; it must be {wanted}."
    )
