"""What a compute host has: its inventories and the facts about its hypervisor."""

from __future__ import annotations

from typing import Annotated

import msgspec

from events.bounds import INT4_MAX, Bound, too_nested
from events.message import MOMENT, Text

VCPU = "VCPU"
MEMORY_MB = "MEMORY_MB"
DISK_GB = "DISK_GB"

AMOUNT_MAX = INT4_MAX
"""The most of anything on one host, 2 PiB of memory: what its record holds. With its ratio it is
exact in any arithmetic."""

RATIO = Bound(ge=0, le=1_000_000)


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """One resource class of one host, as in placement (min_unit and step_size are 1)."""

    total: Annotated[int, "What the host has, in the class's unit."]
    reserved: Annotated[int, "What is kept for the host itself."] = 0
    allocation_ratio: Annotated[float, RATIO, "How often each unit may be given away."] = 1.0
    max_unit: Annotated[int, "The most that one server may have; 0 means total."] = 0

    @property
    def capacity(self) -> int:
        """What may be allocated: floor((total - reserved) x ratio)."""
        return int((self.total - self.reserved) * self.allocation_ratio)

    @property
    def unit_max(self) -> int:
        """The most that one server may have."""
        return self.max_unit or self.total


class SupportedInstance(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of guest that the hypervisor can run."""

    architecture: Annotated[str, "CPU architecture, e.g. x86_64."]
    hypervisor_type: Annotated[str, "Hypervisor type of the guest, e.g. qemu or kvm."]
    vm_mode: Annotated[str, "Guest ABI, e.g. hvm."]


class Hypervisor(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about a compute node."""

    hostname: Annotated[str, "The node's own name (hypervisor_hostname)."]
    type: Annotated[str, "Hypervisor type, e.g. QEMU."]
    version: Annotated[int, "major * 1,000,000 + minor * 1,000 + release."]
    host_ip: Annotated[str, "Address of the host."]
    cpu_info: Annotated[Text, "JSON object: arch, model, vendor, features, topology."] = "{}"
    supported_instances: Annotated[list[SupportedInstance], "What guests it can run."] = []
    disk_available_least_gib: Annotated[int | None, "Disk left if all sparse files filled up."] = (
        None
    )
    booted_at: Annotated[int | None, MOMENT, "When the host booted, microseconds since 1970."] = (
        None
    )


def unsound(hypervisor: Hypervisor, inventories: dict[str, Inventory]) -> str | None:
    """Why such a host cannot be, in one sentence; None when it can."""
    if not _is_object(hypervisor.cpu_info):
        return "cpu_info must be a JSON object."
    for name, inventory in inventories.items():
        if inventory.total < 0 or inventory.max_unit < 0:
            return f"Inventory of {name}: total and max_unit must not be negative."
        if not 0 <= inventory.reserved <= inventory.total:
            return f"Inventory of {name}: reserved must be between 0 and total."
        if max(inventory.total, inventory.max_unit) > AMOUNT_MAX:
            return f"Inventory of {name}: total and max_unit must not exceed {AMOUNT_MAX}."
        if not 0 < inventory.allocation_ratio < 1e6:
            return f"Inventory of {name}: allocation_ratio must be above 0 and below 1,000,000."
    return None


def _is_object(text: str) -> bool:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return isinstance(value, dict) and not too_nested(value)
