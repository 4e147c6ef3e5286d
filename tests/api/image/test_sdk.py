"""An unmodified openstacksdk against the service over HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openstack
import openstack.exceptions
import pytest
from keystoneauth1.session import Session
from keystoneauth1.token_endpoint import Token

from tests.api.image.conftest import Site

# The SDK warns of its own code.
pytestmark = [
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
]


@pytest.fixture
def cloud(address: str) -> Iterator[Any]:
    connection = openstack.connection.Connection(
        session=Session(auth=Token(address, "anna")),
        region_name="RegionOne",
        image_endpoint_override=address,
    )
    yield connection
    connection.session.session.close()
    connection.close()


def test_create_upload_download(cloud: Any, site: Site, tmp_path: Path) -> None:
    source, target = tmp_path / "disk.img", tmp_path / "copy.img"
    data = b"a disk " * 100_000
    source.write_bytes(data)
    with source.open("rb") as file:
        made = cloud.image.create_image(
            "disk",
            data=file,
            disk_format="raw",
            container_format="bare",
            os_distro="debian",
            a_property="v",
            min_disk=1,
        )
    image = cloud.image.get_image(made.id)
    assert image.status == "active" and image.size == len(data)
    assert image.hash_value == hashlib.sha512(data).hexdigest()
    assert (image.os_distro, image.properties["a_property"]) == ("debian", "v")
    cloud.image.download_image(image.id, output=str(target))
    assert target.read_bytes() == data
    streamed = cloud.image.download_image(image.id, stream=True)
    assert b"".join(streamed.iter_content(65536)) == data
    streamed.close()


def test_import(cloud: Any) -> None:
    image = cloud.image.create_image(
        "imported", data=b"bytes", disk_format="raw", container_format="bare", use_import=True
    )
    assert cloud.image.get_image(image.id).status == "active"


def test_list_update_delete(cloud: Any, site: Site) -> None:
    made = [site.anna.create(name=f"image-{n}", tags=["all"])["id"] for n in range(5)]
    assert [image.id for image in cloud.image.images(limit=2)] == made[::-1]
    assert [image.id for image in cloud.image.images(name="image-3")] == [made[3]]
    assert len([*cloud.image.images(tag="all", visibility="shared", sort="name:asc")]) == 5
    assert cloud.image.find_image("image-2").id == made[2]
    assert cloud.image.find_image("none") is None
    changed = cloud.image.update_image(made[0], name="renamed", min_ram=64, a_property="v")
    assert (changed.name, changed.min_ram) == ("renamed", 64)
    assert cloud.image.get_image(made[0]).properties["a_property"] == "v"
    cloud.image.add_tag(made[0], "new")
    assert "new" in cloud.image.get_image(made[0]).tags
    cloud.image.remove_tag(made[0], "new")
    assert cloud.image.get_image(made[0]).tags == ["all"]
    cloud.image.delete_image(made[0])
    with pytest.raises(openstack.exceptions.NotFoundException, match="No image found with ID"):
        cloud.image.get_image(made[0])
    assert len([*cloud.image.images()]) == 4


def test_members_and_activation(cloud: Any, site: Site) -> None:
    id = site.anna.active(b"x")["id"]
    member = cloud.image.add_member(id, member_id="b")
    assert member.status == "pending"
    assert [m.member_id for m in cloud.image.members(id)] == ["b"]
    cloud.image.remove_member("b", id)
    assert [*cloud.image.members(id)] == []
    cloud.image.deactivate_image(id)
    assert cloud.image.get_image(id).status == "deactivated"
    cloud.image.reactivate_image(id)
    assert cloud.image.get_image(id).status == "active"
    assert cloud.image.get_images_schema().properties["images"]["type"] == "array"


def test_refusals_are_the_sdks_own(cloud: Any, site: Site) -> None:
    with pytest.raises(openstack.exceptions.ForbiddenException, match="publicize_image"):
        cloud.image.create_image("x", visibility="public", allow_duplicates=True)
    queued = site.anna.create(disk_format="qcow2")["id"]
    image = cloud.image.get_image(queued)
    image.data = b"no qcow2"
    answer = image.upload(cloud.image)
    assert answer.status_code == 415 and "does not match disk_format" in answer.json()["message"]
    assert cloud.image.get_image(queued).status == "queued"
