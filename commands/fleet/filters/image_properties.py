"""The filter by what guests the hypervisor can run and what the image asks for.

Source: nova/scheduler/filters/image_props_filter.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from commands.fleet.judges import Question, as_filter
from events.fleet.host import Host

if TYPE_CHECKING:
    from commands.fleet.candidates import Candidates

LEGACY_NAMES = {
    "hw_architecture": "architecture",
    "img_hv_type": "hypervisor_type",
    "hw_vm_mode": "vm_mode",
    "img_hv_requested_version": "hypervisor_version_requires",
}
"""Names that older images use for the same properties."""

ARCHITECTURES = {"amd64": "x86_64", "i386": "i686", "i486": "i686", "i586": "i686"}
"""Other names of architectures (nova/objects/fields.py)."""

REQUIREMENT_CHARS_MAX = 255
"""As long as an image's property may be in Glance: at most 64 predicates, parsed once for a request
and judged once for each kind of host."""

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
def image_properties(candidates: Candidates, question: Question) -> Candidates:
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
        return candidates
    if architecture:
        architecture = ARCHITECTURES.get(architecture, architecture)
    wanted = predicates(version)
    return candidates.of_kind(
        lambda host: (
            _runs(host, architecture, type, mode) and version_meets(host.hypervisor.version, wanted)
        )
    )


def _property(properties: Mapping[str, str], name: str) -> str:
    return (properties.get(name) or properties.get(LEGACY_NAMES[name]) or "").lower()


def _runs(host: Host, architecture: str | None, type: str, mode: str) -> bool:
    return any(
        (not architecture or architecture == guest.architecture)
        and (not type or type == guest.hypervisor_type.lower())
        and (not mode or mode == guest.vm_mode.lower())
        for guest in host.hypervisor.supported_instances
    )


Predicate = tuple[str, list[int]]
"""A sign and the numbers of a version."""


def predicates(wanted: str) -> list[Predicate] | None:
    """What e.g. ``>=7.0, <8`` asks of a version; None when some part of it is no predicate, or
    when it is longer than any that means something: no version meets it then."""
    if len(wanted) > REQUIREMENT_CHARS_MAX:
        return None
    found: list[Predicate] = []
    for part in wanted.split(",") if wanted else ():
        predicate = _PREDICATE.fullmatch(part)
        if predicate is None:
            return None
        sign, digits = predicate.groups()
        numbers = [int(number) for number in digits.split(".")]
        found.append((sign, numbers + [0] * (3 - len(numbers))))
    return found


def version_meets(version: int, wanted: list[Predicate] | None) -> bool:
    """Whether e.g. 7002015 (7.2.15) meets all predicates."""
    have = [version // 1_000_000, version // 1_000 % 1_000, version % 1_000]
    return wanted is not None and all(_HOLDS[sign](have, numbers) for sign, numbers in wanted)
