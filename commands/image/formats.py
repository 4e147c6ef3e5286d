"""Whether data is what the image's record says it is.

A format that is claimed wrongly is an attack, not only a mistake: a "raw" image that is really a
qcow2 with a backing file would read a host's files. So raw data must show no other format, and
data of a format with a signature must show that signature and no other.
"""

from __future__ import annotations

from collections.abc import Sequence

INSPECTED = frozenset({"qcow2", "vhd", "vhdx", "vmdk", "vdi", "iso"})
"""Formats that the data itself shows."""

PLAIN = frozenset({"raw", "gpt", "luks"})
"""What raw disks show: nothing, a partition table (gpt, which an MBR also counts as) or an
encrypted volume, all of them the guest's own matter."""


ENCLOSING = frozenset({"ovf", "ova", "docker", "compressed"})
"""Containers whose data is not the disk's own; ami, ari and aki are bare files."""


def contradiction(disk_format: str, container_format: str, detected: Sequence[str]) -> str | None:
    """The sentence that says how ``detected`` contradicts the record, or None.

    An enclosing container has its disk inside, where nobody looks.
    """
    if container_format in ENCLOSING:
        return None
    found = set(detected)
    if disk_format in INSPECTED:
        # A bootable ISO has a partition table as well, by design.
        allowed = {disk_format} | (PLAIN if disk_format == "iso" else set())
        matches = disk_format in found and found <= allowed
    else:
        matches = found <= PLAIN
    if matches:
        return None
    return (
        f"Image content does not match disk_format: the record says {disk_format}, "
        f"the data shows {', '.join(sorted(found)) or 'no format'}"
    )
