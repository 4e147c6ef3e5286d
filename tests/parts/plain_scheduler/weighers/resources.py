"""Weighers by how much room a host has. With negative multipliers they pack, not spread."""

from __future__ import annotations

from events.fleet.host import Host
from tests.parts.plain_scheduler.judges import Question, as_weigher


@as_weigher("RAMWeigher", "ram_weight_multiplier", floor=True)
def ram(hosts: list[Host], question: Question) -> list[float]:
    """Free memory in MiB, without over-allocation."""
    return [h.free_ram_mib for h in hosts]


@as_weigher("CPUWeigher", "cpu_weight_multiplier", floor=True)
def cpu(hosts: list[Host], question: Question) -> list[float]:
    """Free virtual CPUs, over-allocation included."""
    return [h.free_vcpus for h in hosts]


@as_weigher("DiskWeigher", "disk_weight_multiplier", floor=True)
def disk(hosts: list[Host], question: Question) -> list[float]:
    """Free disk in MiB, without over-allocation."""
    return [h.free_disk_mib for h in hosts]


@as_weigher("NumInstancesWeigher", "num_instances_weight_multiplier", multiplier=0.0)
def num_instances(hosts: list[Host], question: Question) -> list[float]:
    """Servers on the host."""
    return [h.servers for h in hosts]
