"""The filter by what guests the hypervisor can run and what the image asks for.

Source: nova/scheduler/filters/image_props_filter.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from events.fleet.host import Host
from tests.parts.plain_scheduler.judges import Question, as_filter

LEGACY_NAMES = {
    "hw_architecture": "architecture",
    "img_hv_type": "hypervisor_type",
    "hw_vm_mode": "vm_mode",
    "img_hv_requested_version": "hypervisor_version_requires",
}
"""Names that older images use for the same properties."""

ARCHITECTURES = {"amd64": "x86_64", "i386": "i686", "i486": "i686", "i586": "i686"}
"""Other names of architectures (nova/objects/fields.py)."""

_PREDICATE = re.compile(r"\s*(<=|>=|!=|==|<|>)\s*(\d+(?:\.\d+)*)\s*")

_HOLDS: dict[str, Callable[[list[int], list[int]], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">=": lambda a, b: a >= b,
    ">": lambda a, b: a > b,
}


@as_filter("ImagePropertiesFilter", once=True)
def image_properties(hosts: list[Host], question: Question) -> list[Host]:
    """Hosts that can run guests of the image's architecture, hypervisor type and mode."""
    properties = question.spec.image_properties
    architecture = (
        _property(properties, "hw_architecture")
        or question.policy.image_properties_default_architecture
    )
    type = _property(properties, "img_hv_type")
    mode = _property(properties, "hw_vm_mode")
    version = _property(properties, "img_hv_requested_version")
    if not (architecture or type or mode):
        return hosts
    if architecture:
        architecture = ARCHITECTURES.get(architecture, architecture)
    return [
        h
        for h in hosts
        if _runs(h, architecture, type, mode)
        and (not version or version_meets(h.hypervisor.version, version))
    ]


def _property(properties: Mapping[str, str], name: str) -> str:
    return (properties.get(name) or properties.get(LEGACY_NAMES[name]) or "").lower()


def _runs(host: Host, architecture: str | None, type: str, mode: str) -> bool:
    return any(
        (not architecture or architecture == guest.architecture)
        and (not type or type == guest.hypervisor_type.lower())
        and (not mode or mode == guest.vm_mode.lower())
        for guest in host.hypervisor.supported_instances
    )


def version_meets(version: int, wanted: str) -> bool:
    """Whether e.g. 7002015 (7.2.15) meets ``>=7.0, <8``. What is no predicate is met by none."""
    have = [version // 1_000_000, version // 1_000 % 1_000, version % 1_000]
    for part in wanted.split(","):
        predicate = _PREDICATE.fullmatch(part)
        if predicate is None:
            return False
        sign, digits = predicate.groups()
        want = [int(number) for number in digits.split(".")]
        want += [0] * (3 - len(want))
        if not _HOLDS[sign](have, want):
            return False
    return True
