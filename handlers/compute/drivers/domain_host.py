"""What a host gives to all definitions of its guests, found out once."""

from __future__ import annotations

from pathlib import Path

from handlers.compute.drivers.disks import supports_direct_io
from handlers.compute.drivers.domain_xml import DomainHost

MACHINE = "pc"


def domain_host(
    name: str, virt_type: str, instances_dir: Path, machine: str = MACHINE
) -> DomainHost:
    """Return what definitions on this host have in common. Guests and the probe use the same."""
    return DomainHost(
        name=name,
        virt_type=virt_type,
        machine=machine,
        disk_cache="none" if supports_direct_io(instances_dir) else "writeback",
    )
