"""Values of image properties that no host takes are refused when the server is asked for."""

from __future__ import annotations

import pytest

from api.compute.image_properties import CHOICES, COUNTS, ENCRYPTED
from tests.api.compute.world import World, refused


@pytest.mark.parametrize("name", [*CHOICES, *COUNTS])
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
