"""Values of image properties that no host takes are refused when the server is asked for."""

from __future__ import annotations

import pytest

from api.compute.image_properties import (
    ANY_CASE,
    CHOICES,
    COUNTS,
    ENCRYPTED,
    check_properties,
)
from tests.api.compute.world import World, refused

SHAPED = {
    "hw_numa_mem.0": ["512"],
    "hw_numa_cpus.1": ["0", "0-3,^2", "1,2,7-9"],
    "hw_cpu_realtime_mask": ["^0-1"],
    "hw_mem_page_size": ["large", "2048", "1GB", "2Mi"],
}
"""Names whose values have a form, with some that have it."""


@pytest.mark.parametrize("name", [*CHOICES, *ANY_CASE, *COUNTS, *SHAPED])
@pytest.mark.parametrize("value", ["floppy-e", "", "²", "-1"])
def test_a_value_that_no_host_takes(world: World, name: str, value: str) -> None:
    image = world.image(properties={name: value})
    answer = world.create({"imageRef": image})
    refused(answer, 400, "badRequest", f"Invalid image metadata. Error: {name} is")


def test_an_image_of_an_encrypted_volume(world: World) -> None:
    image = world.image(properties={ENCRYPTED: "b" * 32})
    refused(world.create({"imageRef": image}), 400, "badRequest", "encrypted volume")


def test_each_value_that_hosts_take(world: World) -> None:
    for name, choices in CHOICES.items():
        for value in sorted(choices):
            image = world.image(properties={name: value, "hw_cpu_cores": "1", "os_x": "any"})
            assert world.create({"imageRef": image}).status_code == 202, (name, value)


def test_what_else_is_taken() -> None:
    for name, choices in ANY_CASE.items():
        for value in choices:
            check_properties({name: value})
            check_properties({name: value.upper()})
    for name, values in SHAPED.items():
        for value in values:
            check_properties({name: value})
