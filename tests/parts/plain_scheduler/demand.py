"""From a request spec to what placement is asked for: amounts and traits.

Source: nova/scheduler/utils.py, ``ResourceRequest``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from commands.numbers import is_whole_number, whole_number
from events.fleet.inventory import DISK_GB, MEMORY_MB, VCPU
from events.fleet.request import RequestSpec, Resources

PCPU = "PCPU"
_CLASS = re.compile(r"[A-Z0-9_]+")


class Demand(msgspec.Struct, frozen=True):
    """What a host must have."""

    resources: Resources
    required_traits: frozenset[str] = frozenset()
    forbidden_traits: frozenset[str] = frozenset()


def demand_of(spec: RequestSpec) -> Demand:
    """The demand of one server.

    ``resources:CLASS=n`` in the extra specs replaces the flavor's amount (what is no number is
    ignored, as in Nova); ``trait:NAME=required|forbidden`` is taken from them and,
    if required, from the image's properties; ``hw:cpu_policy=dedicated`` asks for PCPU.
    """
    if not spec.extra_specs and not spec.image_properties:
        return Demand(Resources(vcpus=spec.vcpus, ram_mib=spec.ram_mib, disk_gib=spec.disk_gib))
    return Demand(
        _amounts(spec),
        _traits(spec.extra_specs, "required") | _traits(spec.image_properties, "required"),
        _traits(spec.extra_specs, "forbidden"),
    )


def _amounts(spec: RequestSpec) -> Resources:
    dedicated = spec.extra_specs.get("hw:cpu_policy") == "dedicated"
    amounts = {
        VCPU: 0 if dedicated else spec.vcpus,
        PCPU: spec.vcpus if dedicated else 0,
        MEMORY_MB: spec.ram_mib,
        DISK_GB: spec.disk_gib,
    }
    if dedicated and spec.extra_specs.get("hw:emulator_threads_policy") == "isolate":
        amounts[PCPU] += 1
    for key, value in spec.extra_specs.items():
        scope, _, name = key.partition(":")
        if scope == "resources" and _CLASS.fullmatch(name) and is_whole_number(value):
            amounts[name] = whole_number(value, 10**18, 10**18)
    return Resources(
        vcpus=amounts.pop(VCPU),
        ram_mib=amounts.pop(MEMORY_MB),
        disk_gib=amounts.pop(DISK_GB),
        others={name: amount for name, amount in sorted(amounts.items()) if amount},
    )


def _traits(wanted: Mapping[str, str], how: str) -> frozenset[str]:
    return frozenset(
        key.removeprefix("trait:")
        for key, value in wanted.items()
        if value == how and key.startswith("trait:")
    )
