"""What a libvirt host has: processors, memory, disk and capabilities, in Nova's terms."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from lxml import etree

from handlers.compute.drivers.contract import HostResources

GIB = 1 << 30


def host_resources(
    connection: Any, *, host: str, host_ip: str, instances_dir: Path, running_vms: int
) -> HostResources:
    """Asks libvirt (a `virConnect`) and the file system of `instances_dir`."""
    capabilities = etree.fromstring(connection.getCapabilities().encode())
    node = connection.getInfo()
    instances_dir.mkdir(parents=True, exist_ok=True)
    return HostResources(
        vcpus=node[2],
        ram_mib=node[1],
        disk_gib=shutil.disk_usage(instances_dir).total // GIB,
        hypervisor_type=connection.getType(),
        hypervisor_version=connection.getVersion(),
        hypervisor_hostname=host,
        cpu_info=_cpu_info(capabilities),
        host_ip=host_ip,
        supported_instances=_supported_instances(capabilities),
        uptime=uptime(),
        running_vms=running_vms,
    )


def uptime() -> str:
    """As the program of that name prints it (users aside)."""
    seconds = int(float(Path("/proc/uptime").read_text().split()[0]))
    days, rest = divmod(seconds, 86_400)
    load = ", ".join(Path("/proc/loadavg").read_text().split()[:3])
    up = f"{days} day{'s' * (days != 1)}, " if days else ""
    clock = time.strftime("%H:%M:%S")
    return f" {clock} up {up}{rest // 3600}:{rest % 3600 // 60:02},  load average: {load}"


def _cpu_info(capabilities: etree._Element) -> dict[str, Any]:
    cpu = capabilities.find("host/cpu")
    if cpu is None:
        return {"arch": "", "model": "", "vendor": "", "features": [], "topology": {}}
    topology = cpu.find("topology")
    numbers = () if topology is None else ("sockets", "cores", "threads", "dies")
    return {
        "arch": cpu.findtext("arch", ""),
        "model": cpu.findtext("model", ""),
        "vendor": cpu.findtext("vendor", ""),
        "features": sorted(str(feature.get("name")) for feature in cpu.findall("feature")),
        "topology": {
            name: int(topology.get(name, "1")) for name in numbers if topology is not None
        },
    }


def _supported_instances(capabilities: etree._Element) -> list[tuple[str, str, str]]:
    found = []
    for guest in capabilities.findall("guest"):
        mode, arch = guest.findtext("os_type", ""), guest.find("arch")
        if arch is None:
            continue
        for domain in arch.findall("domain"):
            entry = (str(arch.get("name")), str(domain.get("type")), mode)
            if entry not in found:
                found.append(entry)
    return found
