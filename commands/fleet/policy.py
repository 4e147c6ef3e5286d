"""What an operator may choose about scheduling. Names and defaults are Nova's."""

from __future__ import annotations

import msgspec

DEFAULT_FILTERS = (
    "ComputeFilter",
    "ComputeCapabilitiesFilter",
    "ImagePropertiesFilter",
    "ServerGroupAntiAffinityFilter",
    "ServerGroupAffinityFilter",
    "SameHostFilter",
    "DifferentHostFilter",
)
"""Nova's default-enabled filters in its order, then the two for the hints same_host and
different_host, which Nova leaves off: they cost nothing without the hint, and a hint that is
accepted and ignored is worse than none."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Options of ``[filter_scheduler]``. ``enabled_weighers`` None means all that are known;
    ``multipliers`` by option name, e.g. ``ram_weight_multiplier``, for those that differ.
    ``scores_max``: hosts whose scores are kept as evidence, 7 us of encoding each (measured)."""

    enabled_filters: tuple[str, ...] = DEFAULT_FILTERS
    enabled_weighers: tuple[str, ...] | None = None
    multipliers: dict[str, float] = {}
    host_subset_size: int = 1
    shuffle_best_same_weighed_hosts: bool = False
    alternates_max: int = 2
    scores_max: int = 3
    max_instances_per_host: int = 50
    image_properties_default_architecture: str | None = None
    aggregate_image_properties_isolation_namespace: str | None = None
    aggregate_image_properties_isolation_separator: str = "."
    isolated_images: frozenset[str] = frozenset()
    isolated_hosts: frozenset[str] = frozenset()
    restrict_isolated_hosts_to_isolated_images: bool = True

    def __post_init__(self) -> None:
        for name in ("host_subset_size", "scores_max", "max_instances_per_host"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if not 0 <= self.alternates_max <= 2:
            raise ValueError("alternates_max must be between 0 and 2")
