"""Weighers by how much room a host has. With negative multipliers they pack, not spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.fleet.judges import Question, as_weigher

if TYPE_CHECKING:
    from commands.fleet.candidates import Candidates
    from commands.fleet.table import Numbers


@as_weigher("RAMWeigher", "ram_weight_multiplier", floor=True)
def ram(candidates: Candidates, question: Question) -> Numbers:
    """Free memory in MiB, without over-allocation."""
    return candidates.column("free_ram_mib")


@as_weigher("CPUWeigher", "cpu_weight_multiplier", floor=True)
def cpu(candidates: Candidates, question: Question) -> Numbers:
    """Free virtual CPUs, over-allocation included."""
    return candidates.column("free_vcpus")


@as_weigher("DiskWeigher", "disk_weight_multiplier", floor=True)
def disk(candidates: Candidates, question: Question) -> Numbers:
    """Free disk in MiB, without over-allocation."""
    return candidates.column("free_disk_mib")


@as_weigher("NumInstancesWeigher", "num_instances_weight_multiplier", multiplier=0.0)
def num_instances(candidates: Candidates, question: Question) -> Numbers:
    """Servers on the host."""
    return candidates.column("servers")
