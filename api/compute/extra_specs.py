"""What a flavor's extra specs may say: from 2.86 on, as in Nova, unknown names and bad values of
the namespaces that Nova gives a meaning to are refused. Other namespaces are anybody's, and so are
names without one, but for the two that Nova knows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from api.compute.faults import bad_request

SINCE = 86
NAMESPACES = frozenset(
    {"hw", "hw_rng", "hw_video", "quota", "os", "accel", "pci_passthrough", "resources", "trait"}
)
GROUPED = re.compile(r"(resources|trait)[a-zA-Z0-9_-]{1,64}")
"""Namespaces with the name of a group of resources behind them."""

COUNT, POSITIVE, TEXT = r"[0-9]{1,18}", r"0*[1-9][0-9]{0,17}", r".+"
INTEGER = rf"-?{COUNT}"
CPUS = r"\^?[0-9]{1,9}(-[0-9]{1,9})?(,\^?[0-9]{1,9}(-[0-9]{1,9})?)*"
"""Numbers of CPUs, ranges of them, and what is taken out again."""
PAGE_SIZE = r"small|large|any|[0-9]{1,18}([kKMGT]i?)?(b|bit|B)?"
FLAG = r"(?i:1|t|true|on|y|yes|0|f|false|off|n|no)"
LIMIT = "limit|reservation|shares_share"
GROUP = "[a-zA-Z0-9_-]{0,64}"
VALUES = {
    r"hw:cpu_policy": "shared|dedicated|mixed",
    r"hw:cpu_thread_policy": "prefer|isolate|require",
    r"hw:emulator_threads_policy": "share|isolate",
    r"hw:cpu_(max_)?(sockets|cores|threads)": POSITIVE,
    r"hw:(cpu_dedicated_mask|cpu_realtime_mask|numa_cpus\.[0-9]+)": CPUS,
    r"hw:pmem": r"[a-zA-Z0-9_]+(,[a-zA-Z0-9_]+)*",
    r"hw:(numa_nodes|numa_mem\.[0-9]+)": POSITIVE,
    r"hw:(serial_port_count|redirected_usb_ports)": COUNT,
    r"hw:maxphysaddr_bits": COUNT,
    r"hw:maxphysaddr_mode": "passthrough|emulate",
    r"hw:mem_page_size": PAGE_SIZE,
    r"hw:pci_numa_affinity_policy": "required|preferred|legacy|socket",
    r"hw:(cpu_realtime|mem_encryption|virtio_packed_ring|ephemeral_encryption)": FLAG,
    r"hw:(boot_menu|hide_hypervisor_id|locked_memory|vif_multiqueue_enabled|pmu)": FLAG,
    r"hw:mem_encryption_model": "amd-sev|amd-sev-es",
    r"hw:tpm_version": r"1\.2|2\.0",
    r"hw:tpm_model": "tpm-tis|tpm-crb",
    r"hw:tpm_secret_security": "user|host|deployment",
    r"hw:viommu_model": "intel|smmuv3|virtio|auto",
    r"hw:input_bus": "usb|virtio",
    r"hw:(sound_model|usb_model)": TEXT,
    r"hw:ephemeral_encryption_format": "plain|luks|luksv2",
    r"hw:watchdog_action": "none|pause|poweroff|reset|disabled",
    r"hw_rng:allowed": FLAG,
    r"hw_rng:rate_(bytes|period)": COUNT,
    r"hw_video:ram_max_mb": COUNT,
    r"quota:cpu_(shares|period)": COUNT,
    r"quota:cpu_quota": INTEGER,
    r"quota:disk_(read|write|total)_(bytes|iops)_sec(_max)?": COUNT,
    r"quota:vif_(in|out)bound_(average|peak|burst)": COUNT,
    rf"quota:(cpu|memory|disk_io|vif)_({LIMIT})": INTEGER,
    r"quota:(cpu|memory|disk_io|vif)_shares_level": TEXT,
    r"os:secure_boot": "required|optional|disabled",
    r"accel:device_profile": TEXT,
    r"pci_passthrough:alias": r"[^:,]+:[0-9]+(\s*,[^:,]+:[0-9]+)*",
    rf"resources{GROUP}:[A-Z0-9_]+": COUNT,
    rf"trait{GROUP}:[A-Z0-9_]+": "required|forbidden",
    r"hide_hypervisor_id": FLAG,
    r"group_policy": "isolate|none",
}
"""Patterns of whole names, and of their whole values."""


def check_extra_specs(given: Mapping[str, str], version: int) -> None:
    """Raises 400 for the first name or value that is wrong."""
    if version < SINCE:
        return
    for name, value in given.items():
        wanted = next((VALUES[known] for known in VALUES if re.fullmatch(known, name)), None)
        if wanted is None:
            namespace, colon, _ = name.partition(":")
            if not colon or not (namespace in NAMESPACES or GROUPED.fullmatch(namespace)):
                continue
            raise bad_request(f"Validation failed; extra spec '{name}' does not appear to be valid")
        if not re.fullmatch(wanted, value):
            raise bad_request(f"Validation failed; '{value[:80]}' is no value of '{name}'")
