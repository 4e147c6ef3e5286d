"""What a new site begins with, asked of a real API over HTTP: the demo image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import projections.image
from chronova.bootstrap import PLACEHOLDER, ensure_image
from chronova.client import Client
from chronova.settings import Settings
from tests.parts.cloud import ADMIN_PASSWORD, DEMO_PASSWORD, cloud
from tests.parts.postgres import PostgresServer
from tests.parts.served_api import served

assert projections.image  # imported for what it registers

IMAGES = "/image/v2/images"


@pytest.fixture
def url(database: PostgresServer, tmp_path: Path) -> Iterator[str]:
    with (
        cloud(database.url, tmp_path / "api", ("identity", "image")) as made,
        served(made.app) as address,
    ):
        yield address


def client(url: str, user: str, password: str) -> Client:
    made = Client(url)
    made.login(user, password, user)
    return made


def begun(client: Client, name: str = "demo") -> str:
    """An image without data; its id."""
    body = {"name": name, "disk_format": "raw", "container_format": "bare"}
    return str(client.call("POST", IMAGES, body)["id"])


def images(admin: Client) -> dict[str, dict[str, Any]]:
    """All that there are, by id."""
    return {image["id"]: image for image in admin.call("GET", f"{IMAGES}?limit=1000")["images"]}


def test_images_of_other_projects_are_left_alone(url: str, tmp_path: Path) -> None:
    """Also more of them than one page has, and one that is whole: it does not count as the
    site's."""
    admin, demo = client(url, "admin", ADMIN_PASSWORD), client(url, "demo", DEMO_PASSWORD)
    others = [begun(demo) for _ in range(26)]
    data = tmp_path / "data"
    data.write_bytes(b"of another project")
    demo.upload(f"{IMAGES}/{others[0]}/file", data)
    half_made, by_another_name = begun(admin), begun(admin, "mine")
    before = images(admin)

    said: list[str] = []
    ensure_image(Settings(data=str(tmp_path / "site")), admin, said.append)
    after = images(admin)
    assert {id: after.get(id) for id in others} == {id: before[id] for id in others}
    assert half_made not in after
    assert by_another_name in after
    (made,) = after.keys() - before.keys()
    shown = {key: after[made][key] for key in ("name", "status", "visibility", "owner", "size")}
    assert shown == {
        "name": "demo",
        "status": "active",
        "visibility": "public",
        "owner": admin.project_id,
        "size": len(PLACEHOLDER),
    }

    ensure_image(Settings(data=str(tmp_path / "site")), admin, said.append)
    assert images(admin) == after
