from __future__ import annotations

import msgspec
import pytest

from commands.image.create import CreateImage
from events.image.attributes import ImageCreated, ImageDeleted
from tests.commands.image.story import ID, PROJECT, created, given

COMMAND = CreateImage(
    image_id=ID,
    owner=PROJECT,
    name="debian",
    visibility="shared",
    protected=False,
    hidden=False,
    disk_format="raw",
    container_format="bare",
    min_disk_gib=0,
    min_ram_mib=0,
    tags=["b", "a", "b"],
    properties={"os_distro": "debian"},
)


def test_an_image_is_recorded_with_each_tag_once() -> None:
    given().when(COMMAND).then(created(tags=["a", "b"], properties={"os_distro": "debian"}))


def test_an_id_is_used_once() -> None:
    given(created()).when(COMMAND).refused(409, "already exists")


def test_an_id_is_not_used_again_by_any_project() -> None:
    deleted = ImageDeleted(at=1, image_id=ID)
    other = msgspec.structs.replace(COMMAND, owner="q" * 32)
    given(created()).when(other).refused(409, "already exists")
    given(created(), deleted).when(other).refused(409, "already exists")


@pytest.mark.parametrize(
    ("disk", "container"),
    [("raw", "ami"), ("ami", "bare"), ("ami", "ari"), ("ami", None), (None, "ari"), (None, None)],
)
def test_any_formats_go_together(disk: str | None, container: str | None) -> None:
    command = msgspec.structs.replace(COMMAND, disk_format=disk, container_format=container)
    outcome = given().when(command)
    assert outcome.decision.refusal is None
    (made,) = outcome.decision.events
    assert isinstance(made, ImageCreated)
    assert (made.disk_format, made.container_format) == (disk, container)


@pytest.mark.parametrize(
    ("properties", "tags"),
    [
        ({f"p{n}": "" for n in range(129)}, []),
        ({}, [f"t{n}" for n in range(129)]),
        ({f"p{n}": "x" * 65535 for n in range(5)}, []),
    ],
)
def test_an_image_has_bounds(properties: dict[str, str], tags: list[str]) -> None:
    command = msgspec.structs.replace(COMMAND, properties=properties, tags=tags)
    given().when(command).refused(413, "limit has been exceeded")
