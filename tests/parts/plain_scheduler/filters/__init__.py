"""The filters: each file judges by one kind of fact. Importing the package registers them all."""

from tests.parts.plain_scheduler.filters import (
    compute,
    extra_specs,
    groups,
    hints,
    image_properties,
    instances,
    isolation,
)

__all__ = [
    "compute",
    "extra_specs",
    "groups",
    "hints",
    "image_properties",
    "instances",
    "isolation",
]
