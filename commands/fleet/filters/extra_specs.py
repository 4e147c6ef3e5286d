"""Filters by the flavor's extra specs (nova/scheduler/filters/compute_capabilities_filter.py,
aggregate_instance_extra_specs.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from commands.fleet.judges import Question, as_filter
from commands.fleet.operators import matches
from events.fleet.host import MIB_PER_GIB, Host
from events.fleet.inventory import DISK_GB, MEMORY_MB, VCPU

if TYPE_CHECKING:
    from commands.fleet.candidates import Candidates

AGGREGATE_SCOPE = "aggregate_instance_extra_specs"

CAPABILITIES = frozenset(
    {
        "host",
        "nodename",
        "uuid",
        "host_ip",
        "hypervisor_hostname",
        "hypervisor_type",
        "hypervisor_version",
        "cpu_info",
        "vcpus_total",
        "vcpus_used",
        "free_ram_mb",
        "total_usable_ram_mb",
        "free_disk_mb",
        "total_usable_disk_gb",
        "disk_mb_used",
        "num_instances",
        "cpu_allocation_ratio",
        "ram_allocation_ratio",
        "disk_allocation_ratio",
    }
)
"""What an extra spec may name of a host, by Nova's names."""

SHARED = frozenset({"hypervisor_type", "hypervisor_version", "cpu_info"})
"""Those that are the same for all hosts of a kind."""


@as_filter("ComputeCapabilitiesFilter", once=True)
def compute_capabilities(candidates: Candidates, question: Question) -> Candidates:
    """Hosts that meet each ``capabilities:a:b`` and each unscoped key that names a capability."""
    wanted = _wanted(question.spec.extra_specs)
    shared = [want for want in wanted if want[0][0] in SHARED]
    own = [want for want in wanted if want[0][0] not in SHARED]
    if shared:
        candidates = candidates.of_kind(lambda host: all(_meets(host, *want) for want in shared))
    if own:
        candidates = candidates.each(lambda host: all(_meets(host, *want) for want in own))
    return candidates


@as_filter("AggregateInstanceExtraSpecsFilter", once=True)
def aggregate_instance_extra_specs(candidates: Candidates, question: Question) -> Candidates:
    """Hosts with an aggregate whose metadata meets each unscoped or so scoped extra spec."""
    wanted = []
    for key, requirement in question.spec.extra_specs.items():
        scope, colon, rest = key.partition(":")
        if not colon:
            wanted.append((key, requirement))
        elif scope == AGGREGATE_SCOPE:
            wanted.append((rest, requirement))
    if not wanted:
        return candidates
    return candidates.by_aggregates(
        lambda host: all(_any_value(host, question, *want) for want in wanted)
    )


def _any_value(host: Host, question: Question, key: str, requirement: str) -> bool:
    return any(
        matches(value.strip(), requirement)
        for joined in question.metadata_values(host, key)
        for value in joined.split(",")
    )


def _wanted(extra_specs: Mapping[str, str]) -> list[tuple[Sequence[str], str]]:
    wanted: list[tuple[Sequence[str], str]] = []
    for key, requirement in extra_specs.items():
        scope, *rest = key.split(":")
        if scope == "capabilities" and rest:
            wanted.append((rest, requirement))
        elif not rest and key in CAPABILITIES:
            wanted.append(([key], requirement))
    return wanted


def _meets(host: Host, path: Sequence[str], requirement: str) -> bool:
    found = capability(host, path)
    return found is not None and matches(str(found), requirement)


def capability(host: Host, path: Sequence[str]) -> Any:
    """The value of ``hypervisor_type``, ``cpu_info:topology:cores``, …; None when there is none."""
    name, *rest = path
    found = _flat(host, name)
    for step in rest:
        if not isinstance(found, dict):
            return None
        found = found.get(step)
    return found


def _flat(host: Host, name: str) -> Any:
    facts = host.hypervisor
    match name:
        case "host":
            return host.host
        case "nodename" | "hypervisor_hostname":
            return facts.hostname
        case "uuid":
            return host.node_id
        case "host_ip":
            return facts.host_ip
        case "hypervisor_type":
            return facts.type
        case "hypervisor_version":
            return facts.version
        case "cpu_info":
            return _json(facts.cpu_info)
        case _:
            return _amount(host, name)


def _amount(host: Host, name: str) -> int | float | None:
    amounts: dict[str, int | float] = {
        "vcpus_used": host.used_vcpus,
        "free_ram_mb": host.free_ram_mib,
        "free_disk_mb": host.free_disk_mib,
        "disk_mb_used": host.used_disk_gib * MIB_PER_GIB,
        "num_instances": host.servers,
    }
    for resource_class, total, ratio in (
        (VCPU, "vcpus_total", "cpu_allocation_ratio"),
        (MEMORY_MB, "total_usable_ram_mb", "ram_allocation_ratio"),
        (DISK_GB, "total_usable_disk_gb", "disk_allocation_ratio"),
    ):
        inventory = host.inventories.get(resource_class)
        if inventory is not None:
            amounts[total] = inventory.total
            amounts[ratio] = inventory.allocation_ratio
    return amounts.get(name)


@lru_cache(maxsize=4096)
def _json(text: str) -> Any:
    """What a JSON text says, None when it is not JSON. Remembered: hosts of a kind share it."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
