"""What a flavor's extra specs may say: from 2.86 on, as in Nova, unknown names and bad values of
the namespaces that Nova gives a meaning to are refused. Other namespaces are anybody's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from api.compute.faults import bad_request

SINCE = 86
NAMESPACES = frozenset({"hw", "hw_rng", "hw_video", "quota", "os"})

COUNT, TEXT = r"[0-9]{1,18}", r".+"
FLAG = r"(?i:1|t|true|on|y|yes|0|f|false|off|n|no)"
LIMIT = "limit|reservation|shares_level|shares_share"
VALUES = {
    r"hw:cpu_policy": "shared|dedicated|mixed",
    r"hw:cpu_thread_policy": "prefer|isolate|require",
    r"hw:emulator_threads_policy": "share|isolate",
    r"hw:cpu_(max_)?(sockets|cores|threads)": COUNT,
    r"hw:(cpu_dedicated_mask|cpu_realtime_mask|numa_cpus\.[0-9]+|pmem)": TEXT,
    r"hw:(numa_nodes|numa_mem\.[0-9]+|serial_port_count|redirected_usb_ports)": COUNT,
    r"hw:maxphysaddr_bits": COUNT,
    r"hw:maxphysaddr_mode": "passthrough|emulate",
    r"hw:mem_page_size": r"small|large|any|[0-9]+([kKMGT]i?)?(b|bit|B)?",
    r"hw:pci_numa_affinity_policy": "required|preferred|legacy|socket",
    r"hw:(cpu_realtime|mem_encryption|virtio_packed_ring|ephemeral_encryption)": FLAG,
    r"hw:(boot_menu|hide_hypervisor_id|locked_memory|vif_multiqueue_enabled|pmu)": FLAG,
    r"hw:mem_encryption_model": "amd-sev|amd-sev-es",
    r"hw:tpm_version": r"1\.2|2\.0",
    r"hw:tpm_model": "tpm-tis|tpm-crb",
    r"hw:(tpm_secret_security|sound_model|viommu_model|usb_model|input_bus)": TEXT,
    r"hw:ephemeral_encryption_format": TEXT,
    r"hw:watchdog_action": "none|pause|poweroff|reset|disabled",
    r"hw_rng:allowed": FLAG,
    r"hw_rng:rate_(bytes|period)": COUNT,
    r"hw_video:ram_max_mb": COUNT,
    r"quota:cpu_(shares|period)": COUNT,
    r"quota:cpu_quota": f"-?{COUNT}",
    r"quota:disk_(read|write|total)_(bytes|iops)_sec(_max)?": COUNT,
    r"quota:vif_(in|out)bound_(average|peak|burst)": COUNT,
    rf"quota:(cpu|memory|disk_io|vif)_({LIMIT})": TEXT,
    r"os:secure_boot": "required|optional|disabled",
}
"""Patterns of whole names, and of their whole values."""


def check_extra_specs(given: Mapping[str, str], version: int) -> None:
    """Raises 400 for the first name or value that is wrong."""
    if version < SINCE:
        return
    for name, value in given.items():
        if name.partition(":")[0] not in NAMESPACES or ":" not in name:
            continue
        wanted = next((VALUES[known] for known in VALUES if re.fullmatch(known, name)), None)
        if wanted is None:
            raise bad_request(f"Validation failed; extra spec '{name}' does not appear to be valid")
        if not re.fullmatch(wanted, value):
            raise bad_request(f"Validation failed; '{value[:80]}' is no value of '{name}'")
